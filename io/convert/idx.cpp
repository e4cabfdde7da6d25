// A pair of IDX files, plain or gzipped, as MNIST and its relatives come. One group: /train.

#include "io/convert.h"
#include "io/idx_file.h"

namespace lockstep {
namespace {

class Idx final : public Converter {
 public:
  std::vector<std::string> inputs() const override { return {"IMAGES", "LABELS"}; }

  ConvertedSet read(const std::vector<std::string>& files) const override {
    ConvertedSet set;
    set.splits.push_back({"train", to_images(read_idx(files[0]), files[0]), to_labels(read_idx(files[1]), files[1])});
    return set;
  }
};

const Register<Converter> registered{{.name = "idx",
                                      .summary = "IDX images and labels, plain or gzipped (MNIST, EMNIST, KMNIST)",
                                      .make = [](Options&) { return std::make_unique<Idx>(); }}};

}  // namespace
}  // namespace lockstep
