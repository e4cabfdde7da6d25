#include <array>
#include <map>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/checkpoint_envelope.h"
#include "io/hdf5.h"

namespace lockstep {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

Hdf5Storage storage_of(const TensorSpec& spec) {
  if (spec.shape.rank() == 0 || spec.elements() == 0) return {};
  return {.chunk = chunk_of(spec.shape, size_of(spec.dtype), kChunkBytes), .fletcher32 = true};
}

/// The groups of a file by path, made when first asked for.
class Groups {
 public:
  explicit Groups(Hdf5Group& root) : root_(root) {}

  Hdf5Group& at(const std::string& path) {
    if (path.empty()) return root_;
    const auto found = groups_.find(path);
    if (found != groups_.end()) return found->second;
    const std::size_t slash = path.rfind('/');
    Hdf5Group& parent = slash == path.npos ? root_ : at(path.substr(0, slash));
    return groups_.emplace(path, parent.create_group(slash == path.npos ? path : path.substr(slash + 1))).first->second;
  }

 private:
  Hdf5Group& root_;
  std::map<std::string, Hdf5Group> groups_;
};

void write_meta(Hdf5Group& root, const CheckpointMeta& meta, const Snapshot& state) {
  root.set_attribute("format", "lockstep-checkpoint");
  root.set_attribute("format_version", kCheckpointVersion);
  root.set_attribute("step", meta.step);
  root.set_attribute("epoch", meta.epoch);
  root.set_attribute("created_by", meta.created_by);
  root.set_attribute("fingerprint", meta.fingerprint);
  root.set_attribute("state_xxh3_128", state.digest());
  Hdf5Group metrics = root.create_group("metrics");
  for (const auto& [name, value] : meta.metrics) metrics.set_attribute(name, value);
  const TensorSpec text{Shape{static_cast<std::int64_t>(meta.run_file.size())}, Dtype::u8};
  Hdf5Dataset run_file = root.create_dataset("run_file", text.dtype, text.shape, storage_of(text));
  run_file.write(meta.run_file.data(), text.dtype);
  run_file.close();
}

void write_state(Hdf5Group& root, const Snapshot& state) {
  Groups groups(root);
  std::int64_t position = 0;
  for (const Snapshot::Member& member : state.members()) {
    const TensorSpec& spec = member.value.spec();
    const std::size_t slash = member.name.rfind('/');
    require(slash != member.name.npos && !member.name.starts_with("metrics/"), "checkpoint: \"{}\" lies in no group, or in a reserved one",
            member.name);
    Hdf5Dataset dataset =
        groups.at(member.name.substr(0, slash)).create_dataset(member.name.substr(slash + 1), spec.dtype, spec.shape, storage_of(spec));
    dataset.write(member.value.view().data, spec.dtype);
    dataset.set_attribute("kind", name_of(member.kind));
    dataset.set_attribute("position", position++);
    dataset.set_attribute("xxh3_128", member_digest(member.name, member.kind, member.value.view()));
    dataset.close();
  }
}

}  // namespace

void save_checkpoint(const std::string& path, const CheckpointMeta& meta, const Snapshot& state, const FileCalls& calls) {
  Hdf5File file = Hdf5File::create_in_memory(path, Hdf5Format::v110);
  write_meta(file.root(), meta, state);
  write_state(file.root(), state);
  const std::span<const std::byte> payload = file.close_to_image();
  const std::string envelope = make_envelope(payload);
  const std::array<std::span<const std::byte>, 2> parts = {std::as_bytes(std::span(envelope)), payload};
  const auto verify = [&](const std::string& temporary) {
    if (read_checkpoint(temporary, calls).digest != state.digest())
      fail(ErrorKind::internal, "\"{}\": holds another state than was saved", temporary);
  };
  commit_file(path, parts, verify, calls);
}

void save_checkpoint(const std::string& path, const CheckpointMeta& meta, const VisitState& visit) {
  save_checkpoint(path, meta, Snapshot(visit));
}

}  // namespace lockstep
