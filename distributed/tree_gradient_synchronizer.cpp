#include "distributed/tree_gradient_synchronizer.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"

namespace lockstep {
namespace {

constexpr std::int64_t kSliceUnit = 16;  // floats: a cache line
constexpr std::int64_t kBlock = 4096;    // floats: a fold of several nodes stays in the first cache level

float* grown(HostBuffer& buffer, std::int64_t elements) {
  const std::size_t bytes = static_cast<std::size_t>(elements) * sizeof(float);
  if (buffer.bytes() < bytes) buffer = HostBuffer(bytes);
  return reinterpret_cast<float*>(buffer.data());
}

void copy(float* to, const float* from, std::int64_t count) {
  if (count > 0 && to != from) std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

}  // namespace

TreeGradientSynchronizer::TreeGradientSynchronizer(Communicator& communicator, int total_lanes)
    : communicator_(communicator), total_lanes_(total_lanes) {
  for (int r = 0; r < communicator.size(); ++r)
    nodes_of_rank_.push_back(cover(lanes_of_rank(total_lanes, r, communicator.size()), total_lanes));
}

TreeGradientSynchronizer::Slice TreeGradientSynchronizer::slice_of(int rank, std::int64_t elements) const {
  const std::int64_t ranks = communicator_.size(), share = (elements + ranks - 1) / ranks;
  const std::int64_t size = (share + kSliceUnit - 1) / kSliceUnit * kSliceUnit;
  return {std::min(rank * size, elements), std::min((rank + 1) * size, elements)};
}

void TreeGradientSynchronizer::reduce(int bucket, std::int64_t elements, std::span<const NodeGradient> nodes, float* result, StreamView) {
  const int rank = communicator_.rank();
  const std::vector<LaneSpan>& expected = nodes_of_rank_[static_cast<std::size_t>(rank)];
  require(std::equal(nodes.begin(), nodes.end(), expected.begin(), expected.end(),
                     [](const NodeGradient& a, LaneSpan b) { return a.node == b; }),
          "gradients: bucket {}: the nodes of rank {} are not those of the lane tree", bucket, rank);
  trade(elements, nodes);
  const Slice mine = slice_of(rank, elements);
  fold_slice(mine, nodes, result);
  std::vector<std::size_t> bytes;
  for (int r = 0; r < communicator_.size(); ++r) bytes.push_back(static_cast<std::size_t>(slice_of(r, elements).count()) * sizeof(float));
  communicator_.all_gather(result + mine.first, result, bytes);
}

/// Afterwards receive_ holds the other ranks' nodes of this rank's slice, in rank order. The own ones stay in place.
void TreeGradientSynchronizer::trade(std::int64_t elements, std::span<const NodeGradient> nodes) {
  const int rank = communicator_.rank();
  const std::int64_t mine = slice_of(rank, elements).count();
  std::vector<std::size_t> send_bytes, receive_bytes;
  std::int64_t received = 0;
  float* to = grown(send_, static_cast<std::int64_t>(nodes.size()) * (elements - mine));
  for (int r = 0; r < communicator_.size(); ++r) {
    const Slice theirs = slice_of(r, elements);
    const std::int64_t sends = r == rank ? 0 : static_cast<std::int64_t>(nodes.size()) * theirs.count();
    const std::int64_t receives = r == rank ? 0 : static_cast<std::int64_t>(nodes_of_rank_[static_cast<std::size_t>(r)].size()) * mine;
    for (std::size_t n = 0; n < nodes.size() && r != rank; ++n, to += theirs.count())
      copy(to, nodes[n].data + theirs.first, theirs.count());
    send_bytes.push_back(static_cast<std::size_t>(sends) * sizeof(float));
    receive_bytes.push_back(static_cast<std::size_t>(receives) * sizeof(float));
    received += receives;
  }
  communicator_.all_to_all(send_.data(), send_bytes, grown(receive_, received), receive_bytes);
}

void TreeGradientSynchronizer::fold_slice(Slice mine, std::span<const NodeGradient> nodes, float* result) {
  const std::int64_t count = mine.count();
  // The tree's left edge is summed in the result, so a node that lies there and comes later moves away first.
  std::vector<float*> own;
  for (const NodeGradient& node : nodes) own.push_back(node.data + mine.first);
  if (communicator_.rank() > 0 && !own.empty() && nodes[0].data == result) {
    float* saved = grown(saved_, count);
    copy(saved, own[0], count);
    own[0] = saved;
  }
  struct Sum {
    float* into;
    const float* from;
  };
  std::vector<Sum> sums;
  std::vector<float*> stack;
  FoldStack order(total_lanes_);
  float* received = reinterpret_cast<float*>(receive_.data());
  for (int r = 0; r < communicator_.size(); ++r)
    for (std::size_t n = 0; n < nodes_of_rank_[static_cast<std::size_t>(r)].size(); ++n) {
      float* values = received;
      if (r == communicator_.rank())
        values = own[n];
      else
        received += count;
      if (stack.empty()) {
        copy(result + mine.first, values, count);
        values = result + mine.first;
      }
      const FoldStack::Step step = order.push(nodes_of_rank_[static_cast<std::size_t>(r)][n]);
      stack.push_back(values);
      for (int m = 0; m < step.merges; ++m) {
        const float* right = stack.back();
        stack.pop_back();
        sums.push_back({stack.back(), right});
      }
    }
  for (std::int64_t at = 0; at < count; at += kBlock)
    for (const Sum& sum : sums) combine_add(sum.into + at, sum.from + at, std::min(kBlock, count - at));
}

}  // namespace lockstep
