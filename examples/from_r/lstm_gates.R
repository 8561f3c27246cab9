# The gates of an LSTM from R: a data frame in, arrays out, and a picture in R's own graphics.
#
#   RETICULATE_PYTHON=.venv/bin/python Rscript examples/from_r/lstm_gates.R [gates.png]
#
# Needs R with reticulate (Debian: r-base-core, r-cran-reticulate), and Python with keras_lstm_gates. About 20 seconds.

Sys.setenv(TF_CPP_MIN_LOG_LEVEL = "3")
library(reticulate)
keras <- import("keras", convert = FALSE)
lstm_gates <- import("keras_lstm_gates", convert = FALSE)
numpy <- import("numpy", convert = FALSE)

# Arrays there and back as lists of numbers: reticulate 1.28, which Debian 12 has, converts arrays of NumPy 1 alone.
to_numpy <- function(a) numpy$reshape(as.list(as.vector(a)), as.list(dim(a)), order = "F")
to_r <- function(a) array(unlist(py_to_r(a$flatten("F")$tolist())), dim = unlist(py_to_r(a$shape)))

arguments <- commandArgs(trailingOnly = TRUE)
picture <- if (length(arguments)) arguments[1] else "gates.png"

# A data frame: ten days, hour by hour.
hour <- 0:239
set.seed(1)
weather <- data.frame(
  temperature = 12 + 6 * sin(2 * pi * (hour - 9) / 24) + rnorm(240, sd = 0.5),
  wind = 3 + 2 * (hour %% 60 < 8) + abs(rnorm(240, sd = 0.3))
)

# Keras reads (sample, time, feature); whole numbers need their L, and NULL is an axis of any length.
x <- array(scale(as.matrix(weather)), dim = c(1, nrow(weather), ncol(weather)))
y <- array(c(x[1, -1, 1], x[1, 1, 1]), dim = c(1, nrow(weather), 1)) # the temperature of the next hour

invisible(keras$utils$set_random_seed(1L))
model <- keras$Sequential(list(
  keras$Input(shape = tuple(NULL, 2L)),
  keras$layers$LSTM(8L, return_sequences = TRUE, name = "lstm"),
  keras$layers$Dense(1L)
))
invisible(model$compile(optimizer = keras$optimizers$Adam(0.02), loss = "mse"))
history <- model$fit(to_numpy(x), to_numpy(y), epochs = 60L, verbose = 0L)
loss <- unlist(py_to_r(history$history)$loss)
cat(sprintf("loss %.3f in the first epoch, %.3f in the last\n", loss[1], tail(loss, 1)))

# Every gate of every step: R arrays (sample, time, unit).
tree <- lstm_gates$trace(model, to_numpy(x), progress = FALSE)
gate <- function(name) to_r(py_get_item(tree, paste0("lstm/", name))$values)
f <- gate("f")
cell <- gate("c")
cat("f has the dimensions", dim(f), "and lies between", round(range(f), 3), "\n")

# The statistics of each unit as a data frame.
numbers <- lstm_gates$statistics(tree)
units <- data.frame(
  unit = 1:8,
  mean_f = apply(f, 3, mean),
  half_life = to_r(py_get_item(numbers, "lstm/half_life")$values)
)
print(units, digits = 3, row.names = FALSE)

png(picture, width = 900, height = 800, type = if (capabilities("cairo")) "cairo" else "Xlib")
par(mfrow = c(3, 1), mar = c(4, 4.5, 2, 1), cex = 1.1)
plot(hour, weather$temperature, type = "l", xaxs = "i", xlab = "", ylab = "degrees", main = "what the network reads: temperature")
image(hour, 1:8, f[1, , ], zlim = c(0, 1), col = hcl.colors(64, "Blues", rev = TRUE), xlab = "", ylab = "unit", main = "forget gate f: dark keeps")
image(hour, 1:8, cell[1, , ], zlim = c(-1, 1) * max(abs(cell)), col = hcl.colors(64, "Blue-Red"), xlab = "hour", ylab = "unit", main = "cell state c: blue below zero, red above")
invisible(dev.off())
cat("drawn:", picture, "\n")
