#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace lockstep {

/// The named blocks of a `[model]` table: lists of layers with options.
class ModelBlocks {
 public:
  /// `blocks` may be null. `run_file` errors name the place; a block named like a layer is refused.
  explicit ModelBlocks(const Value* blocks);

  bool contains(std::string_view name) const { return blocks_.find(name) != blocks_.end(); }
  std::vector<std::string> names() const;

  /// The layers of the block for a use such as `{ basic = 64, stride = 2 }` (without `name` and `from`), options put in.
  Value expand(const std::string& name, const Value& use) const;

 private:
  struct Block {
    Value options;     ///< default, or the text "required", by name
    std::string main;  ///< the option that the main value goes to; may be empty
    Value layers;
  };
  static Block read_block(const std::string& name, const Value& table);

  std::map<std::string, Block, std::less<>> blocks_;
};

}  // namespace lockstep
