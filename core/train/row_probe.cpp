#include "core/train/row_probe.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/philox.h"
#include "core/tensor/bfloat16.h"
#include "core/tensor/float16.h"

namespace lockstep {
namespace {

float random_value(std::uint64_t operand, std::int64_t i) {
  const Philox::Words words = Philox::draw(static_cast<std::uint64_t>(i), operand, random_key(1, RandomPurpose::test, 0));
  return 2.0f * Philox::uniform(words.w[0]) - 1.0f;
}

/// `rows` rows of an operand on the device, random numbers in [-1, 1).
DeviceBuffer random_operand(Device& device, const OperandSpec& operand, std::int64_t rows, std::uint64_t number) {
  const std::int64_t elements = operand.spec.elements() * rows;
  std::vector<std::byte> host(operand.spec.bytes() * static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < elements; ++i) {
    const float value = random_value(number, i);
    std::byte* at = host.data() + static_cast<std::size_t>(i) * size_of(operand.spec.dtype);
    const std::uint16_t half = operand.spec.dtype == Dtype::f16 ? to_float16(value).bits : to_bfloat16(value).bits;
    if (operand.spec.dtype == Dtype::f32)
      std::memcpy(at, &value, sizeof(value));
    else
      std::memcpy(at, &half, sizeof(half));
  }
  DeviceBuffer memory(device, host.size(), "a trial of rows");
  const StreamView main = device.stream(Queue::kMain);
  device.copy(memory.data(), host.data(), host.size(), main);
  device.wait(main);
  return memory;
}

std::vector<std::byte> download(Device& device, const DeviceBuffer& memory) {
  std::vector<std::byte> host(memory.bytes());
  const StreamView main = device.stream(Queue::kMain);
  device.copy(host.data(), memory.data(), memory.bytes(), main);
  device.wait(main);
  return host;
}

struct Trial {
  const Kernel& kernel;
  const OpSpec& spec;
  Device& device;
  std::vector<DeviceBuffer> reads;
  DeviceBuffer workspace, step;

  std::size_t row_bytes(const OperandSpec& operand) const { return operand.role == Role::parameter ? 0 : operand.spec.bytes(); }

  /// The writes of calls of `call_rows` rows, on the host.
  std::vector<std::vector<std::byte>> run(std::int64_t call_rows) {
    std::vector<DeviceBuffer> memory;
    for (const OperandSpec& write : spec.writes)
      memory.emplace_back(device, write.mode == WriteMode::skip ? 0 : write.spec.bytes() * static_cast<std::size_t>(spec.max_rows), "a trial of rows");
    for (std::int64_t first = 0; first < spec.max_rows; first += call_rows) {
      std::vector<const void*> from;
      std::vector<void*> to;
      for (std::size_t r = 0; r < reads.size(); ++r) from.push_back(reads[r].data() + static_cast<std::size_t>(first) * row_bytes(spec.reads[r]));
      for (std::size_t w = 0; w < memory.size(); ++w)
        to.push_back(memory[w].bytes() ? memory[w].data() + static_cast<std::size_t>(first) * spec.writes[w].spec.bytes() : nullptr);
      kernel.run({.reads = from,
                  .writes = to,
                  .rows = std::min(call_rows, spec.max_rows - first),
                  .first_row = first,
                  .step = step.as<const StepBlock>(),
                  .workspace = workspace.data(),
                  .stream = device.stream(Queue::kMain)});
    }
    std::vector<std::vector<std::byte>> results;
    for (const DeviceBuffer& written : memory) results.push_back(download(device, written));
    return results;
  }
};

}  // namespace

bool rows_give_the_same_bits(const Kernel& kernel, const OpSpec& spec, Device& device, std::int64_t lane_rows) {
  Trial trial{kernel, spec, device, {}, DeviceBuffer(device, kernel.workspace_bytes(), "a trial of rows"), DeviceBuffer(device, sizeof(StepBlock), "a trial of rows")};
  const StreamView main = device.stream(Queue::kMain);
  for (std::size_t r = 0; r < spec.reads.size(); ++r) {
    const bool whole = spec.reads[r].role == Role::parameter;
    DeviceBuffer plain = random_operand(device, spec.reads[r], whole ? 1 : spec.max_rows, r);
    const std::size_t packed = whole ? kernel.packed_bytes(static_cast<int>(r)) : 0;
    if (packed > 0) {
      DeviceBuffer own(device, packed, "a trial of rows");
      kernel.pack(static_cast<int>(r), plain.as<float>(), own.data(), main);
      device.wait(main);
      plain = std::move(own);
    }
    trial.reads.push_back(std::move(plain));
  }
  return trial.run(spec.max_rows) == trial.run(lane_rows);
}

}  // namespace lockstep
