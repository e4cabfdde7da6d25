#pragma once

#include <cstdint>

/// Ops that no layer owns: the executor, the reducers and the training step ask every backend for them. All arrays lie
/// in the device's memory. f64 statistics, f32 gradients.
///
///   "gradient.add"   rows. reads x, writes y (accumulate): y += x.
///   "gradient.zero"  rows. writes y: y = 0.
///   "copy"           rows. reads x, writes y (overwrite or accumulate).
///
///   "input.prepare"  rows. reads [0] u8 row, [1] PixelMove of the row (or null), [2] scale, [3] offset (whole, f32 by channel,
///                    or one for all); writes [0] the field in the model's dtype: see pixel_move.h. Images [h, w, c]; rows of another
///                    rank do not move, and their last axis has the channels.
///
///   "fold.add_f32", "fold.add", "fold.moments"   once.
///       reads  [0] items: item i begins at element i * stride (attribute "stride"); one item a node
///       writes [0] result, as long as one item; may be item 0
///       rows = elements of an item. Attributes: "nodes" [first0, last0, first1, last1, ...] the lanes of each item,
///       adjacent and together a node of the lane tree over "lanes" lanes: combined along the tree. With "sequential" = 1
///       from left to right instead. The bits are those of core/model/lane_tree.h's `combine_add` and `combine`.
///
///   "step.squares"   once.
///       reads  [0] gradient arena f32, [1] Block[rows];  writes [0] f64[rows]: sums of squares, one a block
///       rows = blocks. The order of a block's sum is fixed.
///   "step.decide"    once. Norms, clipping and the decision whether to update; core/backend/step_math.h has the formulas.
///       reads  [0] f64 squares[blocks], [1] Block[blocks], those of a parameter next to each other, [2 ... 1 + losses] one
///              loss statistic [loss sum, weight sum] each, [2 + losses] i64 fault, as KernelCall::fault left it; it may be
///              missing or null
///       writes [0] StepBlock, of which loss_scale is read: sets gradient_scale and finite; [1] StepOutcome; [2] f32
///              scales[parameters], written where the scope is "tensor", else may be null
///       rows = blocks. Attributes: "losses" their number, "scope" ("none", "global", "tensor", "element"), "bound" (real).
///   an optimizer's update, such as "sgd.update"   once.
///       reads  [0] gradient arena, [1] Block[rows], [2] f32 scales by parameter, or null: StepBlock::gradient_scale
///       writes [0] parameter arena, [1...] the slots' arenas; updated in place. Nothing where StepBlock::finite is 0.
///       rows = blocks.
namespace lockstep {

/// A run of arena elements inside one tensor: the unit of norms, parameter groups and shards.
struct Block {
  std::int64_t offset = 0, elements = 0;
  int parameter = -1;
};

/// What a step tells the host when it is done.
struct StepOutcome {
  double loss_sum = 0, weight_sum = 0;
  double gradient_norm = 0;  ///< of the unscaled, unclipped gradient
  std::int64_t fault = 0;    ///< 1 + batch row of bad content, or 0
  std::int32_t finite = 1;   ///< 0: loss or gradients were not finite, or there is a fault, and nothing was updated
};

}  // namespace lockstep
