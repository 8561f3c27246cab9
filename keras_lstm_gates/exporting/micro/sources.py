"""The C++ sources for a microcontroller, as text."""

import re

import numpy as np

from keras_lstm_gates.edge import follower
from keras_lstm_gates.exporting.tflite import graphs

_SPELLED_OTHERWISE = {"BATCH_MATMUL": "BatchMatMul", "SPACE_TO_BATCH_ND": "SpaceToBatchNd", "RELU_N1_TO_1": "ReluN1To1"}


def sources(content, inputs, outputs, arena, sequence, results):
    """{file name: text}, for a project that builds with TensorFlow Lite for Microcontrollers (TFLM).

    Args:
        content: bytes of a .tflite file.
        inputs, outputs: {name: place in the file's first graph}; the inputs are x and the states.
        arena: int, bytes.
        sequence: (time, features) or (time,), the sample's input.
        results: {output name: (time or more, ...)}, what the outputs are for it.
    """
    states = [name for name in inputs if name != "x"]
    gates = {path + gate for path in {name[: -len("state_h")] for name in states} for gate in "ifgoch"}
    example_output = next((name for name in outputs if name not in gates), next(iter(outputs)))
    operators = _operators(content)
    steps = np.asarray(sequence).reshape(len(sequence), -1)
    expected = np.asarray(results[example_output])[: len(steps)].reshape(len(steps), -1)
    kind = "int32_t" if np.issubdtype(steps.dtype, np.integer) else "float"
    names = {name: _constant(name) for name in (*inputs, *outputs)}
    return {
        "model_data.h": _MODEL_HEADER,
        "model_data.cc": _MODEL.format(bytes=_rows([f"0x{byte:02x}" for byte in content], 16), size=len(content)),
        "example.h": _EXAMPLE_HEADER.format(
            kind=kind, steps=len(steps), width=steps.shape[1], outputs=expected.shape[1], output=example_output
        ),
        "example.cc": _EXAMPLE.format(kind=kind, x=_table(steps), expected=_table(expected.astype("float32"))),
        "main.cc": _MAIN.format(
            arena=arena,
            inputs=_enum("Input", {names[name]: place for name, place in inputs.items()}),
            outputs=_enum("Output", {names[name]: place for name, place in outputs.items()}),
            count=len(operators),
            adds="\n".join(f"  resolver.Add{name}();" for name in operators),
            states="\n".join(f"    {{kInput{names[name]}, kOutput{names[follower(name)]}, 0}}," for name in states),
            state_count=len(states),
            largest=max(_width(content, inputs, name) for name in states),
            example_output=names[example_output],
            kind=kind,
            name=example_output,
        ),
    }


def _operators(content):
    """The file's operators as TFLM's resolver spells them: FULLY_CONNECTED is added by AddFullyConnected."""
    model = graphs.read(content)
    names = {name for subgraph in model.subgraphs for name, _ in graphs.operators(model, subgraph)}
    return sorted({_SPELLED_OTHERWISE.get(name, name.title().replace("_", "")) for name in names})


def _width(content, inputs, name):
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAsModel(content, 0).Subgraphs(0)
    return int(np.prod(graph.Tensors(graph.Inputs(inputs[name])).ShapeAsNumpy()))


def _constant(name):
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", name))


def _enum(name, places):
    return "\n".join(f"  k{name}{constant} = {place}," for constant, place in places.items())


def _rows(items, width):
    return "\n".join("    " + ", ".join(items[at : at + width]) + "," for at in range(0, len(items), width))


def _table(values):
    spelled = "{}" if np.issubdtype(values.dtype, np.integer) else "{:.8e}f"
    return "\n".join("    {" + ", ".join(spelled.format(value) for value in row) + "}," for row in values.tolist())


_MODEL_HEADER = """\
// The .tflite file as an array.
#ifndef MODEL_DATA_H_
#define MODEL_DATA_H_

extern const unsigned char kModel[];
extern const unsigned int kModelSize;

#endif  // MODEL_DATA_H_
"""

_MODEL = """\
#include "model_data.h"

alignas(16) const unsigned char kModel[] = {{
{bytes}
}};
const unsigned int kModelSize = {size};
"""

_EXAMPLE_HEADER = """\
// A short sequence, and what TFLM answered to it on the machine that exported the model.
#ifndef EXAMPLE_H_
#define EXAMPLE_H_

#include <cstdint>

constexpr int kSteps = {steps};
constexpr int kFeatures = {width};
constexpr int kOutputs = {outputs};

extern const {kind} kExample[kSteps][kFeatures];
// The output {output}.
extern const float kExpected[kSteps][kOutputs];

#endif  // EXAMPLE_H_
"""

_EXAMPLE = """\
#include "example.h"

const {kind} kExample[kSteps][kFeatures] = {{
{x}
}};

const float kExpected[kSteps][kOutputs] = {{
{expected}
}};
"""

_MAIN = """\
// Runs a sequence through the model, one step at a time, with TensorFlow Lite for Microcontrollers (TFLM).
//
// Build it as any TFLM application: main.cc, model_data.cc and example.cc, with the TFLM library of your board.
// Replace kExample by your sensor; each call of Step is one time step.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "example.h"
#include "model_data.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {{

// The smallest that ran, found by trial on a 64-bit machine; with 32-bit pointers less is needed.
constexpr int kArenaSize = {arena};
alignas(16) uint8_t arena[kArenaSize];

enum Input {{
{inputs}
}};
enum Output {{
{outputs}
}};

// A state is kept here between steps: TFLM may lay inputs and outputs over each other.
struct State {{
  int input;
  int output;
  float values[{largest}];
}};
State states[{state_count}] = {{
{states}
}};

void Reset() {{
  for (State& state : states) std::memset(state.values, 0, sizeof(state.values));
}}

// One time step; the outputs are then in interpreter.output(kOutput...)->data.f, until the next.
TfLiteStatus Step(tflite::MicroInterpreter& interpreter, const {kind}* x) {{
  TfLiteTensor* input = interpreter.input(kInputX);
  std::memcpy(input->data.raw, x, input->bytes);
  for (const State& state : states) {{
    TfLiteTensor* tensor = interpreter.input(state.input);
    std::memcpy(tensor->data.raw, state.values, tensor->bytes);
  }}
  if (interpreter.Invoke() != kTfLiteOk) return kTfLiteError;
  for (State& state : states) {{
    const TfLiteTensor* tensor = interpreter.output(state.output);
    std::memcpy(state.values, tensor->data.raw, tensor->bytes);
  }}
  return kTfLiteOk;
}}

}}  // namespace

int main() {{
  tflite::InitializeTarget();
  const tflite::Model* model = tflite::GetModel(kModel);
  if (model->version() != TFLITE_SCHEMA_VERSION) {{
    MicroPrintf("expected schema version %d; received %d", TFLITE_SCHEMA_VERSION, static_cast<int>(model->version()));
    return 1;
  }}
  tflite::MicroMutableOpResolver<{count}> resolver;
{adds}
  tflite::MicroInterpreter interpreter(model, resolver, arena, kArenaSize);
  if (interpreter.AllocateTensors() != kTfLiteOk) {{
    MicroPrintf("the arena of %d bytes is too small", kArenaSize);
    return 1;
  }}
  MicroPrintf("%d of %d bytes of the arena in use", static_cast<int>(interpreter.arena_used_bytes()), kArenaSize);

  Reset();
  float largest = 0.f;
  for (int step = 0; step < kSteps; ++step) {{
    if (Step(interpreter, kExample[step]) != kTfLiteOk) {{
      MicroPrintf("step %d failed", step);
      return 1;
    }}
    const float* output = interpreter.output(kOutput{example_output})->data.f;
    for (int place = 0; place < kOutputs; ++place) {{
      largest = std::fmax(largest, std::fabs(output[place] - kExpected[step][place]));
    }}
    MicroPrintf("step %d: {name} begins with %d thousandths", step, static_cast<int>(1000.f * output[0]));
  }}
  MicroPrintf("largest difference from the exporting machine: %d millionths", static_cast<int>(1e6f * largest));
  return largest < 1e-3f ? 0 : 1;
}}
"""
