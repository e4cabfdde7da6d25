// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747) from Debian's package: 60,000 and 10,000 grey images of
// 28 x 28 in ten classes.

#include <filesystem>

#include "io/convert.h"
#include "io/idx_file.h"

namespace lockstep {
namespace {

constexpr const char* kFolder = "/usr/share/datasets/fashion-mnist";

class FashionMnist final : public Converter {
 public:
  explicit FashionMnist(Options& options) : folder_(options.text("folder", kFolder)) {}

  std::vector<std::string> inputs() const override { return {}; }

  ConvertedSet read(const std::vector<std::string>&) const override {
    ConvertedSet set;
    set.class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
    set.splits.push_back(split("train", "train"));
    set.splits.push_back(split("test", "t10k"));
    return set;
  }

 private:
  ConvertedSplit split(const std::string& group, const std::string& prefix) const {
    const std::string start = folder_ + "/" + prefix;
    const std::string images = start + "-images-idx3-ubyte.gz", labels = start + "-labels-idx1-ubyte.gz";
    for (const std::string& path : {images, labels})
      if (!std::filesystem::exists(path))
        fail(ErrorKind::io, "convert fashion-mnist: \"{}\" is not there: install it with `apt-get install dataset-fashion-mnist`", path);
    return {group, to_images(read_idx(images), images), to_labels(read_idx(labels), labels)};
  }

  std::string folder_;
};

const Register<Converter> registered{{.name = "fashion-mnist",
                                      .summary = "Fashion-MNIST from Debian's package dataset-fashion-mnist",
                                      .make = [](Options& options) { return std::make_unique<FashionMnist>(options); }}};

}  // namespace
}  // namespace lockstep
