#include "launch/plan_kernels.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "core/train/instruction_program.h"

namespace lockstep {
namespace {

std::int64_t rows_of_rank(const PlanKernels& kernels, int rank) {
  return lanes_of_rank(kernels.plan.options.lanes, rank, kernels.ranks).count() * kernels.plan.lane_rows();
}

/// Of every rank, each number of rows once.
std::vector<OpSpec> all_specs(const PlanKernels& kernels) {
  std::set<std::int64_t> rows;
  for (int rank = 0; rank < kernels.ranks; ++rank) rows.insert(rows_of_rank(kernels, rank));
  std::vector<OpSpec> specs;
  for (const std::int64_t rank_rows : rows)
    for (const PlanProgram* program : {&kernels.plan.training, &kernels.plan.evaluation})
      for (const Instruction& instruction : program->instructions)
        if (instruction.kind != PhaseKind::reduce) specs.push_back(instruction_spec(kernels.plan, *program, instruction, kernels.mode, rank_rows));
  return specs;
}

}  // namespace

void PlanKernels::make_all(int threads, const std::function<void(const Made&)>& told) const {
  const std::vector<OpSpec> specs = all_specs(*this);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  int done = 0;
  const auto work = [&] {
    for (std::size_t at = next++; at < specs.size(); at = next++) {
      const auto start = std::chrono::steady_clock::now();
      try {
        const std::string implementation = backend.make(specs[at])->implementation();
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const std::lock_guard lock(mutex);
        told({.done = ++done, .total = static_cast<int>(specs.size()), .what = specs[at].layer + ": " + specs[at].op, .implementation = implementation, .seconds = seconds});
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = specs.size();
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (error) std::rethrow_exception(error);
}

std::vector<std::string> PlanKernels::implementations(const PlanProgram& program) const {
  std::vector<std::string> result;
  for (const Instruction& instruction : program.instructions)
    result.push_back(instruction.kind == PhaseKind::reduce ? "collective"
                                                           : backend.make(instruction_spec(plan, program, instruction, mode, rows_of_rank(*this, 0)))->implementation());
  return result;
}

}  // namespace lockstep
