#include "io/predictions.h"

#include <algorithm>
#include <array>

#include "io/atomic_file.h"
#include "io/hdf5.h"

namespace lockstep {

void write_predictions(const std::string& path, const Predictions& predictions) {
  const std::int64_t width = predictions.sample.elements();
  const auto samples = static_cast<std::int64_t>(predictions.values.size()) / width;
  Hdf5File file = Hdf5File::create_in_memory(path, Hdf5Format::v18);
  Hdf5Dataset values = file.root().create_dataset("predictions", Dtype::f32, predictions.sample.with_leading(samples));
  values.write(predictions.values.data(), Dtype::f32);
  values.close();
  if (predictions.sample.rank() == 1) {
    std::vector<std::int64_t> classes;
    for (auto row = predictions.values.begin(); row != predictions.values.end(); row += width) classes.push_back(std::max_element(row, row + width) - row);
    Hdf5Dataset dataset = file.root().create_dataset("classes", Dtype::i64, Shape{samples});
    dataset.write(classes.data(), Dtype::i64);
    dataset.close();
  }
  const std::array parts = {file.close_to_image()};
  commit_file(path, parts);
}

}  // namespace lockstep
