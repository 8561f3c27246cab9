"""Declarations of TFLM as main.cc uses them, for a compiler that has no TFLM: they check types and calls, no more.

main.cc of a float32 and of an int8 file (the preset shakespeare_plays) was built by g++ 12 against TFLM itself,
tensorflow/tflite-micro at commit 90b983c2b of August 2026, and ran within its arena with the answers in example.cc.
"""

HEADERS = {
    "tensorflow/lite/micro/micro_interpreter.h": """\
#pragma once
#include <cstddef>
#include <cstdint>
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
union TfLitePtrUnion { int32_t* i32; float* f; int8_t* int8; char* raw; };
struct TfLiteTensor { TfLitePtrUnion data; size_t bytes; };
namespace tflite {
struct Model;
class MicroOpResolver {};
class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* arena, size_t size);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t index);
  TfLiteTensor* output(size_t index);
  size_t arena_used_bytes() const;
};
}  // namespace tflite
""",
    "tensorflow/lite/micro/micro_log.h": """\
#pragma once
__attribute__((format(printf, 1, 2))) void MicroPrintf(const char* format, ...);
""",
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": """\
#pragma once
#include "tensorflow/lite/micro/micro_interpreter.h"
namespace tflite {
template <unsigned int count>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddAdd(); TfLiteStatus AddCast(); TfLiteStatus AddConcatenation(); TfLiteStatus AddDequantize();
  TfLiteStatus AddFullyConnected(); TfLiteStatus AddGather(); TfLiteStatus AddLogistic(); TfLiteStatus AddMul();
  TfLiteStatus AddQuantize(); TfLiteStatus AddReshape(); TfLiteStatus AddSoftmax(); TfLiteStatus AddSplit();
  TfLiteStatus AddSub(); TfLiteStatus AddTanh(); TfLiteStatus AddSelectV2(); TfLiteStatus AddNotEqual();
};
}  // namespace tflite
""",
    "tensorflow/lite/micro/system_setup.h": """\
#pragma once
namespace tflite {
void InitializeTarget();
}
""",
    "tensorflow/lite/schema/schema_generated.h": """\
#pragma once
#include <cstdint>
#define TFLITE_SCHEMA_VERSION (3)
namespace tflite {
struct Model {
  uint32_t version() const;
};
const Model* GetModel(const void* bytes);
}  // namespace tflite
""",
}


def write_headers(folder):
    """Write the headers below a folder, for the compiler's -I."""
    for name, text in HEADERS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
