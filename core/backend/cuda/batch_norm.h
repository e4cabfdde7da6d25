#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "core/backend/cuda/element.h"
#include "core/backend/cuda/lane_cut.h"
#include "core/backend/cuda/register.h"

// All batch-norm kernels see their tensors as [positions, channels] and cut them alike: a block has 8 x 32 threads, thread x
// a vector of W channels (16 bytes, or one where a row is not made of whole vectors or an address does not suit), thread y
// every 32nd position of the block's. A warp thus reads four lines of 128 bytes. Blocks of neighbouring channels are
// neighbours, so that blocks that run together read memory in one piece. Both widths give the same bits.
namespace lockstep::cuda {

/// What all batch-norm kernels know: the shape of a sample as [positions, channels], the attributes, the element type.
struct BatchNormSpec {
  explicit BatchNormSpec(const OpSpec& spec);

  std::int64_t channels = 0, positions = 0, groups = 1;
  double epsilon = 0, momentum = 0;
  Dtype dtype = Dtype::f32;
  bool relu = false, add = false;
};

/// A batch-norm kernel from functions of the specification and the call. What the workspace holds are sums of chunks: two
/// numbers of `part_bytes` a channel.
class BatchNormKernel : public Kernel {
 public:
  using Run = void (*)(const BatchNormSpec&, const OpSpec&, const KernelCall&);
  BatchNormKernel(const OpSpec& op, Run body, bool takes_lanes, std::size_t part_bytes);
  void run(const KernelCall& call) const override { run_(spec_, op_, call); }
  std::size_t workspace_bytes() const override { return workspace_; }
  bool takes_lanes() const override { return takes_lanes_; }
  std::string implementation() const override { return "own cuda"; }

 private:
  BatchNormSpec spec_;
  OpSpec op_;
  Run run_;
  bool takes_lanes_;
  std::size_t workspace_;
};

inline MakeKernel batch_norm_rows(BatchNormKernel::Run run) {
  return [=](const OpSpec& op) { return std::make_unique<BatchNormKernel>(op, run, false, 0); };
}
inline MakeKernel batch_norm_sums(BatchNormKernel::Run run, std::size_t part_bytes) {
  return [=](const OpSpec& op) { return std::make_unique<BatchNormKernel>(op, run, true, part_bytes); };
}

/// y = x * scale + shift of one channel. The backward kernels work a mask out of it, so it stands here once: the same bits for both.
__device__ inline void scale_and_shift(float weight, float bias, double mean, double variance, double epsilon, float& scale, float& shift) {
  const double factor = static_cast<double>(weight) / std::sqrt(variance + epsilon);
  scale = static_cast<float>(factor);
  shift = static_cast<float>(static_cast<double>(bias) - mean * factor);
}

inline constexpr unsigned kNormVectors = 8, kNormLines = 32;  ///< threads of a block: vectors of channels, positions
inline constexpr unsigned kNormThreads = kNormVectors * kNormLines;
inline constexpr std::int64_t kNormPositions = 256;  ///< of a block of a rows kernel

/// Positions of a chunk, what a block sums: enough that folding it costs little beside reading it, and more in large
/// images, which have chunks to spare. By the shape alone.
inline std::int64_t chunk_positions(std::int64_t positions) { return positions < 8192 ? 512 : 1024; }

/// W neighbouring elements that one access moves.
template <class T, int W>
struct ChannelPack {
  static_assert(W * sizeof(T) == 16);
  __device__ void load(const T* from) { bits = *reinterpret_cast<const uint4*>(from); }
  __device__ void widen_to(float (&to)[W]) const {
    const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if constexpr (W == 4) {
        to[i] = std::bit_cast<float>(words[i]);
      } else {
        to[2 * i] = widen(T{static_cast<std::uint16_t>(words[i] & 0xFFFFu)});
        to[2 * i + 1] = widen(T{static_cast<std::uint16_t>(words[i] >> 16)});
      }
    }
  }
  static __device__ void store(T* to, const float (&from)[W]) {
    if constexpr (W == 4)
      *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
    else
      store8(to, from);
  }
  uint4 bits;
};
template <class T>
struct ChannelPack<T, 1> {
  __device__ void load(const T* from) { bits = *from; }
  __device__ void widen_to(float (&to)[1]) const { to[0] = widen(bits); }
  static __device__ void store(T* to, const float (&from)[1]) { narrow(*to, from[0]); }
  T bits;
};

/// Calls body(std::integral_constant<int, W>) with the widest vectors that the channels and the addresses (null: none)
/// allow.
template <class T, class Body>
void with_channel_width(std::int64_t channels, std::initializer_list<const void*> addresses, const Body& body) {
  constexpr int kWidth = 16 / sizeof(T);
  bool whole = channels % kWidth == 0;
  for (const void* address : addresses) whole = whole && reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
  if (whole)
    body(std::integral_constant<int, kWidth>{});
  else
    body(std::integral_constant<int, 1>{});
}

/// Blocks of channels of a tensor.
template <int W>
unsigned channel_strips(std::int64_t channels) {
  return static_cast<unsigned>((channels + kNormVectors * W - 1) / (kNormVectors * W));
}

/// The place of a thread whose block stands at `block` = chunk * strips + strip.
template <int W>
struct BlockPlace {
  __device__ BlockPlace(unsigned block, unsigned strip_count, unsigned channels) : chunk(block / strip_count) {
    first_channel = (block - chunk * strip_count) * (kNormVectors * W);
    channel = first_channel + threadIdx.x * W;
    active = channel < channels;
  }
  /// The positions, of `count` in this block, that thread line `line` has.
  static __device__ int share(int count, int line) {
    return count > line ? (count - line + static_cast<int>(kNormLines) - 1) / static_cast<int>(kNormLines) : 0;
  }
  __device__ int mine(std::int64_t count) const { return active ? share(static_cast<int>(count), static_cast<int>(threadIdx.y)) : 0; }

  unsigned chunk, first_channel, channel;
  bool active;
};

/// One number a thread line and channel, folded over the lines in a fixed order that no width changes: four threads a
/// channel take every fourth line each. The order of the columns and their number keep threads off each other's banks.
template <int W>
struct LineSums {
  static constexpr unsigned kSlots = kNormVectors * W;
  __device__ void put(const float (&value)[W]) {
#pragma unroll
    for (int i = 0; i < W; ++i) line[threadIdx.y][static_cast<unsigned>(i) * kNormVectors + threadIdx.x] = value[i];
  }
  float line[kNormLines][kSlots + kNormVectors];
};

/// Which channel's lines a thread folds, and which quarter of them: lines quarter, quarter + 4, ...
template <int W>
struct FoldPlace {
  __device__ FoldPlace() {
    const unsigned thread = threadIdx.y * kNormVectors + threadIdx.x;
    slot = thread / 4, quarter = thread % 4;
    folds = slot < LineSums<W>::kSlots;
    channel = (slot % kNormVectors) * W + slot / kNormVectors;
  }
  /// The sum over the quarters, in every thread of a channel.
  static __device__ float total(float part) {
    part += __shfl_xor_sync(~0u, part, 1);
    return part + __shfl_xor_sync(~0u, part, 2);
  }
  unsigned slot, quarter, channel;
  bool folds;
};

/// Sums over the 32 thread lines in order, in every thread of a column. `lines` is the block's own array.
__device__ inline double sum_lines(double (&lines)[kNormLines][kNormVectors], double part) {
  lines[threadIdx.y][threadIdx.x] = part;
  __syncthreads();
  double sum = 0.0;
#pragma unroll
  for (unsigned i = 0; i < kNormLines; ++i) sum += lines[i][threadIdx.x];
  return sum;
}

}  // namespace lockstep::cuda
