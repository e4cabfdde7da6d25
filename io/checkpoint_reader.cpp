#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/checkpoint_envelope.h"
#include "io/hdf5.h"

namespace lockstep {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxMembers = 100000;

struct PlacedMember {
  std::int64_t position = 0;
  Snapshot::Member member;
};

Dtype dtype_of(const Hdf5Dataset& dataset) {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16, Dtype::f64, Dtype::u8, Dtype::i32, Dtype::i64})
    if (stored_type(dtype) == dataset.type()) return dtype;
  fail(ErrorKind::content, "{}: element type: expected one of f32, bf16, f16, f64, u8, i32, i64, got {}", dataset.where(), name_of(dataset.type()));
}

/// Collects the datasets of a file under a budget of bytes, which nothing in it may exceed.
class StateReader {
 public:
  explicit StateReader(std::size_t budget) : budget_(budget) {}

  Tensor read(const Hdf5Dataset& dataset) {
    const TensorSpec spec{dataset.shape(), dtype_of(dataset)};
    if (spec.bytes() > budget_) fail(ErrorKind::content, "{}: declares more bytes than the file has", dataset.where());
    budget_ -= spec.bytes();
    Tensor value(spec);
    dataset.read(value.view().data, spec.dtype);
    return value;
  }

  void walk(const Hdf5Group& group, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) fail(ErrorKind::content, "{}: groups are nested more than {} deep", group.where(), kMaxDepth);
    for (const Hdf5Entry& entry : group.entries()) {
      if (prefix.empty() && (entry.name == "metrics" || entry.name == "run_file")) continue;
      if (++visited_ > kMaxMembers) fail(ErrorKind::content, "{}: expected at most {} objects in a checkpoint", group.where(), kMaxMembers);
      if (entry.kind == Hdf5Kind::group)
        walk(group.group(entry.name), prefix + entry.name + "/", depth + 1);
      else
        add(group.dataset(entry.name), prefix + entry.name);
    }
  }

  Snapshot finish() {
    std::sort(members_.begin(), members_.end(), [](const PlacedMember& a, const PlacedMember& b) { return a.position < b.position; });
    Snapshot state;
    for (PlacedMember& placed : members_) state.add(std::move(placed.member));
    return state;
  }

 private:
  void add(const Hdf5Dataset& dataset, std::string name) {
    PlacedMember placed{.position = dataset.integer_attribute("position")};
    placed.member.kind = member_kind_from_name(dataset.text_attribute("kind"));
    placed.member.value = read(dataset);
    placed.member.name = std::move(name);
    if (member_digest(placed.member.name, placed.member.kind, placed.member.value.view()) != dataset.text_attribute("xxh3_128"))
      fail(ErrorKind::content, "{}: is damaged: it does not match its digest", dataset.where());
    members_.push_back(std::move(placed));
  }

  std::size_t budget_;
  std::size_t visited_ = 0;
  std::vector<PlacedMember> members_;
};

CheckpointMeta read_meta(const Hdf5Group& root, StateReader& reader) {
  if (root.text_attribute("format") != "lockstep-checkpoint") fail(ErrorKind::content, "{}: is not a lockstep checkpoint", root.where());
  const std::int64_t version = root.integer_attribute("format_version");
  if (version != kCheckpointVersion)
    fail(ErrorKind::content, "{}: format version: expected {}, got {}", root.where(), kCheckpointVersion, version);
  CheckpointMeta meta;
  meta.step = root.integer_attribute("step");
  meta.epoch = root.integer_attribute("epoch");
  meta.created_by = root.text_attribute("created_by");
  meta.fingerprint = root.text_attribute("fingerprint");
  const Hdf5Group metrics = root.group("metrics");
  for (const std::string& name : metrics.attribute_names()) meta.metrics[name] = metrics.real_attribute(name);
  const Tensor text = reader.read(root.dataset("run_file"));
  if (text.spec().dtype != Dtype::u8) fail(ErrorKind::content, "{}: \"run_file\": expected bytes, got {}", root.where(), text.spec().text());
  meta.run_file.assign(text.as<char>(), text.spec().bytes());
  return meta;
}

}  // namespace

Checkpoint read_checkpoint(const std::string& path, const FileCalls& calls) {
  const HostBuffer content = read_file(path, std::numeric_limits<std::size_t>::max(), calls);
  const auto payload = open_envelope({content.data(), content.bytes()}, path);
  const Hdf5File file = Hdf5File::open_in_memory(path, payload);
  StateReader reader(payload.size());
  Checkpoint checkpoint;
  checkpoint.meta = read_meta(file.root(), reader);
  reader.walk(file.root(), "", 0);
  checkpoint.state = reader.finish();
  checkpoint.digest = checkpoint.state.digest();
  if (checkpoint.digest != file.root().text_attribute("state_xxh3_128"))
    fail(ErrorKind::content, "\"{}\": is damaged: the state does not match its digest", path);
  return checkpoint;
}

CheckpointMeta load_checkpoint(const std::string& path, const VisitState& visit, SnapshotMatch match) {
  Checkpoint checkpoint = read_checkpoint(path);
  checkpoint.state.restore(visit, "\"" + path + "\"", match);
  return std::move(checkpoint.meta);
}

}  // namespace lockstep
