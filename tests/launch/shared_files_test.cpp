#include "launch/shared_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "launch/run_data.h"
#include "launch/training_command.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

TEST(SharedFilesTest, ABuildTreeHasTheFolderOfAnInstallation) {
  EXPECT_EQ(shared_folder(), std::string(LOCKSTEP_BINARY_DIR) + "/share/lockstep");
  EXPECT_TRUE(fs::exists(shared_folder() + "/examples/fashion_mnist/run.toml"));
}

TEST(SharedFilesTest, RecipesAreFoundByNameAndPathsStay) {
  EXPECT_EQ(find_recipe("fashion_mnist"), shared_folder() + "/examples/fashion_mnist/run.toml");
  EXPECT_EQ(find_recipe("some/where"), "some/where");
  EXPECT_EQ(find_recipe("not_there.toml"), "not_there.toml");
  const auto names = recipe_names();
  EXPECT_TRUE(std::find(names.begin(), names.end(), "fashion_mnist") != names.end());
  test::expect_error(ErrorKind::usage, "\"fashion_mnits\": neither a run file nor a shipped recipe; did you mean \"fashion_mnist\"?",
                     [] { find_recipe("fashion_mnits"); });
}

TEST(SharedFilesTest, AFileHereGoesBeforeARecipe) {
  const testing::TemporaryDirectory folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  fs::create_directory("fashion_mnist");
  EXPECT_NE(find_recipe("fashion_mnist"), "fashion_mnist");
  fs::remove("fashion_mnist");
  fs::copy_file(find_recipe("fashion_mnist"), "fashion_mnist");
  EXPECT_EQ(find_recipe("fashion_mnist"), "fashion_mnist");
  fs::current_path(before);
}

TEST(SharedFilesTest, ARecipeByNameIsReadAsIfItLayInTheCurrentFolder) {
  EXPECT_EQ(load_run_config("fashion_mnist", {}).data.folder, "");
  EXPECT_EQ(load_run_config(find_recipe("fashion_mnist"), {}).data.folder, shared_folder() + "/examples/fashion_mnist");
}

TEST(SharedFilesTest, DeclaredShapesGiveTheFieldsOfTheModel) {
  EXPECT_FALSE(declared_fields(load_run_config("fashion_mnist", {}), Dtype::f32));
  const std::vector<std::string> shape = {"data.input.shape=[28, 28]"};
  const auto fields = declared_fields(load_run_config("fashion_mnist", shape), Dtype::bf16);
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->at(0).spec, (TensorSpec{Shape{28, 28, 1}, Dtype::bf16}));
  EXPECT_EQ(fields->at(1).spec, (TensorSpec{Shape{}, Dtype::i64}));
}

}  // namespace
}  // namespace lockstep
