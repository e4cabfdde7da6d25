#include <algorithm>
#include <limits>
#include <numeric>

#include "core/model/program_builder.h"

namespace lockstep {
namespace {

constexpr std::int64_t kAlignment = 64;

struct Life {
  int first = std::numeric_limits<int>::max(), last = -1;
  void extend(int at) {
    first = std::min(first, at);
    last = std::max(last, at);
  }
  bool meets(const Life& other) const { return first <= other.last && other.first <= last; }
};

struct Lives {
  std::vector<Life> by_instruction, by_segment;
};

Lives find_lives(const PlanProgram& program) {
  Lives lives{std::vector<Life>(program.buffers.size()), std::vector<Life>(program.buffers.size())};
  for (std::size_t s = 0; s < program.segments.size(); ++s)
    for (int i = program.segments[s].first; i < program.segments[s].last; ++i) {
      const Instruction& instruction = program.instructions[static_cast<std::size_t>(i)];
      const auto touch = [&](const PlanOperand& operand) {
        if (operand.role != PlanRole::buffer || operand.index < 0) return;
        lives.by_instruction[static_cast<std::size_t>(operand.index)].extend(i);
        lives.by_segment[static_cast<std::size_t>(operand.index)].extend(static_cast<int>(s));
      };
      std::ranges::for_each(instruction.reads, touch);
      std::ranges::for_each(instruction.writes, touch);
    }
  return lives;
}

std::int64_t padded_bytes(const PlanBuffer& buffer) {
  return (static_cast<std::int64_t>(buffer.spec.bytes()) + kAlignment - 1) / kAlignment * kAlignment;
}

/// First fit, largest first: buffers whose lives meet never overlap. Returns the bytes per sample.
std::int64_t place(PlanProgram& program, std::vector<int> chosen, const std::vector<Life>& lives) {
  std::stable_sort(chosen.begin(), chosen.end(), [&](int a, int b) {
    return program.buffers[static_cast<std::size_t>(a)].spec.bytes() > program.buffers[static_cast<std::size_t>(b)].spec.bytes();
  });
  std::vector<int> placed;
  std::int64_t total = 0;
  for (const int index : chosen) {
    PlanBuffer& buffer = program.buffers[static_cast<std::size_t>(index)];
    const std::int64_t bytes = padded_bytes(buffer);
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (const int other : placed) {
      const PlanBuffer& there = program.buffers[static_cast<std::size_t>(other)];
      if (lives[static_cast<std::size_t>(index)].meets(lives[static_cast<std::size_t>(other)]))
        taken.emplace_back(there.offset, there.offset + padded_bytes(there));
    }
    std::sort(taken.begin(), taken.end());
    std::int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + bytes <= begin) break;
      offset = std::max(offset, end);
    }
    buffer.offset = offset;
    total = std::max(total, offset + bytes);
    placed.push_back(index);
  }
  return total;
}

}  // namespace

void cut_segments(PlanProgram& program) {
  const auto kind_of = [&](std::size_t i) {
    const PhaseKind kind = program.instructions[i].kind;
    return kind == PhaseKind::per_lane ? PhaseKind::rows : kind;
  };
  program.segments.clear();
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    if (program.segments.empty() || program.segments.back().kind != kind_of(i))
      program.segments.push_back({.kind = kind_of(i), .first = static_cast<int>(i), .last = static_cast<int>(i)});
    program.segments.back().last = static_cast<int>(i) + 1;
  }
}

void place_buffers(PlanProgram& program, int keep) {
  Lives lives = find_lives(program);
  if (keep >= 0) lives.by_segment[static_cast<std::size_t>(keep)].extend(static_cast<int>(program.segments.size()));
  std::vector<int> arena, scratch;
  for (std::size_t i = 0; i < program.buffers.size(); ++i) {
    PlanBuffer& buffer = program.buffers[i];
    if (buffer.placement == Placement::slot || lives.by_segment[i].last < 0) continue;
    buffer.placement = lives.by_segment[i].first == lives.by_segment[i].last ? Placement::scratch : Placement::arena;
    (buffer.placement == Placement::scratch ? scratch : arena).push_back(static_cast<int>(i));
  }
  program.arena_bytes_per_sample = place(program, arena, lives.by_segment);
  program.scratch_bytes_per_sample = place(program, scratch, lives.by_instruction);
}

}  // namespace lockstep
