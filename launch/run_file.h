#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/value.h"

namespace lockstep {

/// Reads a run file (TOML 1.0). Each entry's place is that of its key, each list item's that of the item; `path` is
/// the file in all places. `run_file` error `path:line:column: ...` for text that is no TOML.
Value read_run_file(const std::string& path);

/// The same from memory; `name` stands for the file in messages.
Value parse_run_text(std::string_view text, const std::string& name);

/// One TOML value, or nothing when `text` is none; its places are the command line.
std::optional<Value> parse_run_value(std::string_view text);

/// Applies `key.path=value` from the command line. The value is TOML where it can be read as such, else plain text. A
/// path below `model` that names no entry there addresses the layer of that name, wherever it stands in the layer
/// lists (`model.head.dense=20`). Below `train`, a plug-in written as a string becomes a table
/// (`train.loss.label_smoothing=0.1`).
void apply_override(Value& root, std::string_view override_text);

/// The TOML text of a tree: sections in the usual order, keys sorted, lists broken one item a line where they are
/// long. Read again it gives an equal tree.
std::string write_run_text(const Value& root);

}  // namespace lockstep
