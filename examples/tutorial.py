# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From the equations to the gates
#
# You know what a neural network is. At the end of this page you know what every gate of an LSTM does at every step,
# why its gradient survives where that of a plain recurrent network vanishes, and how it learns when to let it go. Each
# claim is computed here. This page is a notebook, [examples/tutorial.py](../examples/tutorial.py): `make tutorial`
# runs it and writes the page, and the tests compare the two.
#
# Everything is in float64, so that what is equal is equal to 15 digits.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from keras_lstm_gates import ChronoBias, GatedLSTM, compare, expose, gradient_chain, plots, trace, verdict

keras.config.set_floatx("float64")
keras.utils.set_random_seed(1)
np.set_printoptions(precision=3, suppress=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# %% [markdown]
# ## One step by hand
#
# An LSTM carries two vectors from step to step: the cell state *c*, its memory, and the hidden state *h*, what it
# shows of it. At step t it reads the input x<sub>t</sub> and computes four numbers for each unit from **one** product:
#
#     z_t = x_t W + h_{t-1} R + b
#
#     i_t = sigmoid(z_i)     input gate         how much of g is let in
#     f_t = sigmoid(z_f)     forget gate        how much of the old memory is kept: 1 is all, 0 none
#     g_t = tanh(z_g)        input modulation   what there is to write, between -1 and 1
#     o_t = sigmoid(z_o)     output gate        how much of the memory is shown
#
#     c_t = i_t g_t + f_t c_{t-1}
#     h_t = o_t tanh(c_t)
#
# The columns of W, R and b stand in the order i, f, g, o, a block of as many columns as there are units. Here are two
# units that read two numbers a step.

# %%
# fmt: off
#              i           f           g           o
W = np.array([[0.6, -0.3,  0.1,  0.2,  1.0, -0.5,  0.3,  0.4],   # from x[0]
              [0.2,  0.5, -0.4,  0.1,  0.7,  0.8, -0.2,  0.6]])  # from x[1]
R = np.array([[0.5,  0.1,  0.3, -0.2,  0.4, -0.6,  0.2,  0.3],   # from h[0]
              [-0.4, 0.2,  0.6,  0.5, -0.3,  0.9,  0.1, -0.5]])  # from h[1]
b = np.array([0.0,   0.0,  1.0,  1.0,  0.0,  0.0,  0.0,  0.0])
# fmt: on
x = np.array([[1.0, 0.5], [-0.5, 2.0], [0.3, -1.0]])  # three steps


def step(x_t, h, c):
    z = x_t @ W + h @ R + b
    z_i, z_f, z_g, z_o = np.split(z, 4)
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
    c = i * g + f * c
    return {"z": z, "i": i, "f": f, "g": g, "o": o, "c": c, "h": o * np.tanh(c)}


first = step(x[0], h=np.zeros(2), c=np.zeros(2))
print("after the first step  h =", first["h"], " c =", first["c"])

# %% [markdown]
# The second step of unit 0, with pencil and paper. First z, and it takes the *whole* h: unit 0 hears what unit 1 said,
# four times, once for each gate. This is the only place where the units of a layer meet; all that follows is one unit
# on its own.

# %%
h, c = first["h"], first["c"]
for place, gate in enumerate("ifgo"):
    column = 2 * place  # of unit 0 in the block of this gate
    parts = [x[1, 0] * W[0, column], x[1, 1] * W[1, column], h[0] * R[0, column], h[1] * R[1, column], b[column]]
    print(f"z_{gate} = " + " ".join(f"{part:+.3f}" for part in parts) + f" = {sum(parts):+.3f}")

# %% [markdown]
# The five numbers of a line come from x[0], x[1], h[0], h[1] and b. Then the gates, the memory and what is shown of it:

# %%
second = step(x[1], h, c)
i, f, g, o = (second[gate][0] for gate in "ifgo")
print(f"i = sigmoid({second['z'][0]:+.3f}) = {i:.3f}")
print(f"f = sigmoid({second['z'][2]:+.3f}) = {f:.3f}")
print(f"g = tanh({second['z'][4]:+.3f})    = {g:.3f}")
print(f"o = sigmoid({second['z'][6]:+.3f}) = {o:.3f}")
print(f"c = {i:.3f} * {g:.3f} + {f:.3f} * {c[0]:.3f} = {i * g + f * c[0]:.3f}")
print(f"h = {o:.3f} * tanh({i * g + f * c[0]:.3f}) = {o * np.tanh(i * g + f * c[0]):.3f}")

# %% [markdown]
# `keras.layers.LSTM` computes the same and keeps h alone; `GatedLSTM` has its arguments and weights, and keeps all six.

# %%
stock = keras.layers.LSTM(2, return_sequences=True)
gated = GatedLSTM(2, return_sequences=True, return_gates=True)
for layer in (stock, gated):
    layer.build((None, None, 2))
    layer.set_weights([W, R, b])
gates = gated(x[None])

for name in "ifgoch":
    np.testing.assert_allclose(gates[name][0, 1], second[name], atol=1e-15)
np.testing.assert_allclose(stock(x[None])[0, 1], second["h"], atol=1e-15)
print("unit 0 at the second step:", {name: round(float(gates[name][0, 1, 0]), 3) for name in "ifgoch"})

# %% [markdown]
# ## What each gate is for
#
# Nobody sets these weights by hand, but one can, and then a unit is a latch: it hears a value together with three
# wires. `write` opens the input gate, `clear` closes the forget gate, `read` opens the output gate.

# %%
# fmt: off
#                          i     f     g     o
latch_kernel = np.array([[ 0.,   0.,   2.,   0.],   # value
                         [12.,   0.,   0.,   0.],   # write
                         [ 0., -12.,   0.,   0.],   # clear
                         [ 0.,   0.,   0.,  12.]])  # read
# fmt: on
latch_bias = np.array([-6.0, 6.0, 0.0, -6.0])
wires = np.zeros((16, 4))
wires[:, 0] = np.random.default_rng(0).uniform(-1, 1, 16)  # there is always something to hear
wires[2, :2] = 0.9, 1  # write 0.9
wires[[5, 8, 13], 3] = 1  # read
wires[10, 2] = 1  # clear

inputs = keras.Input((None, 4))
latch = keras.Model(inputs, keras.layers.LSTM(1, return_sequences=True, name="latch")(inputs))
latch.get_layer("latch").set_weights([latch_kernel, np.zeros((1, 4)), latch_bias])
seen = trace(latch, wires[None], progress=False)["latch"]

figure, axes = plt.subplots(5, 1, figsize=(8, 6.5), sharex=True, layout="constrained")
labels = {
    "i": "i, admits: open at write",
    "f": "f, keeps: closed at clear",
    "g": "g, what could be written: always something",
    "c": "c, the memory: written once, kept, then forgotten",
    "h": "h, what is shown: only at read, and nothing after clear",
}
for one, (name, label) in zip(axes, labels.items()):
    one.step(range(16), seen[name][0, :, 0], where="mid", color="#0b3c8c")
    one.set_title(label, fontsize=9, loc="left")
    one.set_ylim((-1.1, 1.1) if name in "gch" else (-0.05, 1.05))
    one.spines[["top", "right"]].set_visible(False)
    for at, wire in {2: "write", 5: "read", 8: "read", 10: "clear", 13: "read"}.items():
        one.axvline(at, color="0.85", zorder=0)
        if one is axes[0]:
            one.annotate(wire, (at + 0.55, 0.5), fontsize=8, color="0.4", va="center")
axes[-1].set_xlabel("time step")
plt.show()

# %% [markdown]
# A gate is a soft switch that the network sets by itself, at each step, from what it hears now and what it has just
# said. What a trained network does with its switches is a question that `trace` answers for any model.
#
# ## A sequence, and its loss
#
# Now a task to learn. The network hears a symbol a step: `a` and `b` are to be remembered, `x` says *forget it*, `.` is
# noise. At every step it answers what it holds: nothing, a or b.

# %%
SYMBOLS, ANSWERS = ".abx", ("nothing", "a", "b")


def sequences(count, steps, seed):
    """One-hot symbols (count, steps, 4), one-hot answers (count, steps, 3)."""
    heard = np.random.default_rng(seed).choice(4, size=(count, steps), p=[0.79, 0.07, 0.07, 0.07])
    held, answers = np.zeros(count, int), np.zeros((count, steps), int)
    for t in range(steps):
        held = np.where(heard[:, t] == 0, held, heard[:, t] % 3)  # of a 1, of b 2, of x 0
        answers[:, t] = held
    return np.eye(4)[heard], np.eye(3)[answers]


inputs = keras.Input((24, 4))
hidden = keras.layers.LSTM(8, return_sequences=True, name="lstm")(inputs)
model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="answer")(hidden), name="untrained")
x, y = sequences(1, 24, seed=4)
probabilities = model(x)[0]
print("hears  ", "".join(SYMBOLS[symbol] for symbol in x[0].argmax(axis=1)))
print("holds  ", "".join(" ab"[answer] for answer in y[0].argmax(axis=1)))

# %% [markdown]
# Every step gives an answer ŷ<sub>t</sub>, so every step has a loss of its own, the cross-entropy
# E<sub>t</sub> = −y<sub>t</sub> · log ŷ<sub>t</sub>, and the loss of the sequence is their sum, E = Σ E<sub>t</sub>.

# %%
E_t = -np.sum(y[0] * np.log(probabilities), axis=1)
print("E_t of the first steps:", E_t[:6])
print(f"E = {E_t.sum():.3f}; guessing blindly costs {24 * np.log(3):.3f}")

# %% [markdown]
# ## The gradient is a sum over the steps
#
# The same W, R and b work at every step, so dE/dW = Σ<sub>t</sub> dE<sub>t</sub>/dW. Here each is taken by itself, and
# summed.

# %%
lstm = model.get_layer("lstm")


def gradient(of):
    """dE/dW by TensorFlow, for a loss made of the per-step losses (24,)."""
    with tf.GradientTape() as tape:
        losses = -tf.reduce_sum(y[0] * tf.math.log(model(x)[0]), axis=1)
        energy = of(losses)
    return tape.gradient(energy, lstm.cell.kernel.value).numpy()


whole = gradient(tf.reduce_sum)
by_step = np.stack([gradient(lambda losses, t=t: losses[t]) for t in range(24)])
np.testing.assert_allclose(by_step.sum(axis=0), whole, atol=1e-14)
print("norm of dE_t/dW at t = 0 … 5:", np.linalg.norm(by_step, axis=(1, 2))[:6])
print(f"norm of their sum over t: {np.linalg.norm(by_step.sum(axis=0)):.6f}, of dE/dW: {np.linalg.norm(whole):.6f}")

# %% [markdown]
# And each dE<sub>t</sub>/dW is a sum again: over all earlier steps k at which W was used on the way to E<sub>t</sub>.
# What step k gives is carried to step t by the product of the dc/dc between them. If that product is nothing, W cannot
# learn from step k what was needed at step t. That is the *vanishing gradient*.
#
# ## One link of the chain, in four terms
#
# A plain recurrent network has h<sub>t</sub> = tanh(x<sub>t</sub> W + h<sub>t-1</sub> R + b), and its link is
#
#     dh_t/dh_{t-1} = diag(1 - h_t²) Rᵀ
#
# always R, times something below 1. The memory of an LSTM reaches the next one on four ways: as it is, through f, and
# round by h<sub>t-1</sub> through each of the gates:
#
#     dc_t/dc_{t-1} =   diag(f_t)                                               direct
#                     + diag(c_{t-1} f') R_fᵀ diag(o_{t-1} tanh'(c_{t-1}))      h moves the forget gate
#                     + diag(g_t i')     R_iᵀ diag(o_{t-1} tanh'(c_{t-1}))      h moves the input gate
#                     + diag(i_t g')     R_gᵀ diag(o_{t-1} tanh'(c_{t-1}))      h moves what is written
#
# with f' = f (1 − f), i' = i (1 − i), g' = 1 − g² and tanh'(c) = 1 − tanh²(c). For the two units above, from the first
# to the second step:

# %%
R_i, R_f, R_g, R_o = np.split(R, 4, axis=1)
shown = np.diag(first["o"] * (1 - np.tanh(first["c"]) ** 2))  # of each c, on its way to h
i, f, g = (second[gate] for gate in "ifg")
terms = {
    "f": np.diag(first["c"] * f * (1 - f)) @ R_f.T @ shown,
    "i": np.diag(g * i * (1 - i)) @ R_i.T @ shown,
    "g": np.diag(i * (1 - g**2)) @ R_g.T @ shown,
    "direct": np.diag(f),
}
for name, term in terms.items():
    print(f"{name:7}", *term)

# %% [markdown]
# `gradient_chain` computes these for every step of every sequence of a model, and so does automatic differentiation,
# which does not tell them apart:

# %%
inputs = keras.Input((3, 2))
two_units = keras.Model(inputs, keras.layers.LSTM(2, return_sequences=True, name="lstm")(inputs))
two_units.get_layer("lstm").set_weights([W, R, b])
steps = np.array([[[1.0, 0.5], [-0.5, 2.0], [0.3, -1.0]]])
chain = gradient_chain(two_units, steps, layer="lstm", full=True)
for name, term in terms.items():
    np.testing.assert_allclose(chain["jacobian"].sel(term=name, sample=0, time=1), term, atol=1e-15)

with tf.GradientTape() as tape:
    c = tf.constant(first["c"])
    tape.watch(c)
    h = first["o"] * tf.tanh(c)
    z_i, z_f, z_g, _ = tf.split(steps[0, 1] @ W + tf.linalg.matvec(R.T, h) + b, 4)
    c_next = tf.sigmoid(z_i) * tf.tanh(z_g) + tf.sigmoid(z_f) * c
np.testing.assert_allclose(tape.jacobian(c_next, c), sum(terms.values()), atol=1e-15)
print("dc_t/dc_{t-1} =", *sum(terms.values()))

# %% [markdown]
# ## Vanish or not
#
# Over many steps the links are multiplied. Beside a plain network there are two LSTMs here, before any training, that
# differ in the bias of their forget gates alone: Keras's 1, so that f starts near 0.73, and biases for memories of up
# to 60 steps (`ChronoBias`).

# %%
far, _ = sequences(8, 60, seed=2)


def untrained(layer, name):
    inputs = keras.Input((60, 4))
    return keras.Model(inputs, layer(inputs), name=name)


slow = {"bias_initializer": ChronoBias(60, seed=0), "unit_forget_bias": False}
models = [
    untrained(keras.layers.LSTM(16, name="lstm", **slow), "LSTM, f near 1"),
    untrained(keras.layers.LSTM(16, name="lstm"), "LSTM, f near 0.7"),
    untrained(keras.layers.SimpleRNN(16, name="rnn"), "plain RNN"),
]
chains = compare(models, far)
plots.gradient_chain(chains, title="The gradient over 60 steps")

# %%
for one in verdict(chains):
    print(one)

# %% [markdown]
# In the right picture the plain network's gradient is below a thousandth from lag 42 on, and that of the LSTM with
# Keras's default even sooner: 0.73 to the power of 24 is as little. What survives is the *direct* term, a product of f
# alone, where f is near 1. So an LSTM does not abolish the vanishing gradient. It has one number, for each unit and
# step, that decides on it, and that number is computed from what is heard: it can be learned.
#
# ## How the forget gate learns when to let the gradient go
#
# By its own gradient. As c<sub>t</sub> = i g + f c<sub>t-1</sub>, the chain rule gives dE/df<sub>t</sub> =
# dE/dc<sub>t</sub> · c<sub>t-1</sub>: f is pushed up wherever what it keeps helps later, and down wherever it does
# harm. Nobody tells it that `x` means *forget it*. Back to the task, and to the untrained network; it trains for some
# seconds, and after every second epoch we look at f, and at the push on it, by what is heard at the step.

# %%
x, y = sequences(512, 24, seed=0)
x_new, y_new = sequences(64, 24, seed=1)
heard = x_new.argmax(axis=-1)
opened = expose(model)  # the same weights, with the gates as outputs


def look():
    """Of new sequences the share of right answers, and of `.` and `x` the mean f and the mean push on it."""
    seen = opened.predict(x_new, verbose=0)
    f, c = seen["lstm/f"], seen["lstm/c"]
    c_before = np.concatenate([np.zeros((64, 1, 8)), c[:, :-1]], axis=1)
    dE_dc = gradient_chain(model, x_new, y_new, layer="lstm", norms="estimated", probes=1)["dE_dc"].values
    push = -dE_dc * c_before * 64 * 24  # Keras's loss is a mean over 64 sequences of 24 steps
    right = np.mean(seen["answer"].argmax(axis=-1) == y_new.argmax(axis=-1))
    return [right, *(values[heard == symbol].mean() for values in (f, push) for symbol in (0, 3))]


word = "..a.....x......b........"
probe = np.eye(4)[[[SYMBOLS.index(symbol) for symbol in word]]]
chain_before = gradient_chain(model, probe, layer="lstm")
model.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy")
looks = [look()]
for _ in range(5):
    model.fit(x, y, batch_size=64, epochs=2, verbose=0)
    looks.append(look())
print("epoch   right   f at .   f at x   push at .   push at x")
for epoch, (right, *rest) in enumerate(looks):
    print(f"{2 * epoch:5}   {right:5.0%}   {rest[0]:6.2f}   {rest[1]:6.2f}   {rest[2]:+9.4f}   {rest[3]:+9.4f}")

# %% [markdown]
# At first the network remembers nothing, and f matters little. As soon as it holds something, holding on at `x` costs:
# the push on f at `x` is downward and a multiple of that at noise, f falls there, and the push fades as the answers
# come right. What f lets through, the gradient gets through: both go by the same product. Here it is, from the last
# step of one sequence back to each earlier one, before and after the training:

# %%
chain_after = gradient_chain(model, probe, layer="lstm")
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
for chain, label, style in ((chain_before, "untrained", "--"), (chain_after, "trained", "-")):
    gain = chain["product_frobenius"].sel(path="full", sample=0).values
    # Lag 1 goes through the last step, so that dc_T/dc_t of step t has the lag T - t.
    axes.semilogy(range(24), (gain / gain[0])[:24][::-1], style, color="#0b3c8c", label=label)
axes.set_xticks(range(24), word, family="monospace")
for at in (2, 8, 15):
    axes.axvline(at, color="0.85", zorder=0)
axes.set_xlabel("what is heard at step t")
axes.set_ylabel("gain of $dc_T/dc_t$")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
plt.show()
gain = chain_after["product_frobenius"].sel(path="full", sample=0).values[::-1]
print(f"past x: times {gain[8] / gain[9]:.2f}; past b: times {gain[15] / gain[16]:.2f}", end="; ")
print(f"past the noise between them: times {gain[12] / gain[13]:.2f}")

# %% [markdown]
# The gradient drops where the memory is replaced, at a, x and b, and passes the noise between x and b whole: the forget
# gate has learned when to let it go. (The slow fall after b is what ten epochs left as it was: the task is solved
# without it.) `GradientMonitor` records this in any training, and [gradients.md](gradients.md) says what else can be
# asked.
