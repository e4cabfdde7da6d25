#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "core/backend/cpu/register.h"
#include "core/backend/fold_program.h"
#include "core/model/lane_tree.h"

namespace lockstep::cpu {
namespace {

constexpr std::int64_t kChunk = 256;  ///< elements at a time: the partial results of a chunk stay in the cache

void add(float* into, const float* right, std::int64_t size) { combine_add(into, right, size); }
void add(double* into, const double* right, std::int64_t size) { combine(ReduceKind::add, into, right, size); }

template <class T>
class FoldAdd : public Kernel {
 public:
  explicit FoldAdd(const OpSpec& op) : program_(FoldProgram::of(op)), stride_(op.attributes.integer("stride")) {}

  void run(const KernelCall& call) const override {
    const T* const items = static_cast<const T*>(call.reads[0]);
    T* const result = static_cast<T*>(call.writes[0]);
    for (std::int64_t first = 0; first < call.rows; first += kChunk) {
      const std::int64_t n = std::min(kChunk, call.rows - first);
      T partial[FoldProgram::kMostPartial][kChunk];
      int top = 0;
      for (int i = 0; i < program_.items; ++i) {
        std::memcpy(partial[top++], items + i * stride_ + first, static_cast<std::size_t>(n) * sizeof(T));
        for (int m = program_.merges(i); m > 0; --m, --top) add(partial[top - 2], partial[top - 1], n);
      }
      std::memcpy(result + first, partial[0], static_cast<std::size_t>(n) * sizeof(T));
    }
  }
  std::string implementation() const override { return "loops"; }

 private:
  FoldProgram program_;
  std::int64_t stride_;
};

class FoldMoments : public Kernel {
 public:
  explicit FoldMoments(const OpSpec& op) : program_(FoldProgram::of(op)), stride_(op.attributes.integer("stride")) {}

  void run(const KernelCall& call) const override {
    if (call.rows == 0) return;
    const double* const items = static_cast<const double*>(call.reads[0]);
    double* const result = static_cast<double*>(call.writes[0]);
    const std::int64_t channels = (call.rows - 1) / 2;
    double count = 0;
    // Once at least: the count has no channel.
    for (std::int64_t first = 0; first == 0 || first < channels; first += kChunk) {
      const std::int64_t n = std::min(kChunk, channels - first);
      const auto bytes = static_cast<std::size_t>(n) * sizeof(double);
      double partial[FoldProgram::kMostPartial][1 + 2 * kChunk];
      int top = 0;
      for (int i = 0; i < program_.items; ++i) {
        const double* const item = items + i * stride_;
        double* const into = partial[top++];
        into[0] = item[0];
        std::memcpy(into + 1, item + 1 + first, bytes);
        std::memcpy(into + 1 + n, item + 1 + channels + first, bytes);
        for (int m = program_.merges(i); m > 0; --m, --top) combine(ReduceKind::moments, partial[top - 2], partial[top - 1], 1 + 2 * n);
      }
      count = partial[0][0];
      std::memcpy(result + 1 + first, partial[0] + 1, bytes);
      std::memcpy(result + 1 + channels + first, partial[0] + 1 + n, bytes);
    }
    // Last: the result may be item 0, whose count every chunk reads.
    result[0] = count;
  }
  std::string implementation() const override { return "loops"; }

 private:
  FoldProgram program_;
  std::int64_t stride_;
};

template <class T>
std::unique_ptr<Kernel> make(const OpSpec& op) {
  return std::make_unique<T>(op);
}

const RegisterKernel registered[] = {{"fold.add_f32", make<FoldAdd<float>>}, {"fold.add", make<FoldAdd<double>>}, {"fold.moments", make<FoldMoments>}};

}  // namespace
}  // namespace lockstep::cpu
