#include "core/base/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/backend/backend.h"
#include "core/model/initializer.h"
#include "core/model/layer.h"
#include "core/train/clipping.h"
#include "core/train/optimizer.h"
#include "core/train/schedule.h"
#include "io/augment.h"
#include "launch/command.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

fs::path source_folder() { return LOCKSTEP_SOURCE_DIR; }

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A compiler cache may have made the path relative to the build folder.
bool is_file(const std::string& registered, const std::string& file) { return registered == file || registered.ends_with("/" + file); }

/// A plug-in lives in one file of its folder that bears its name, so that whoever reads a name finds the file.
template <class T>
void expect_files_named_after_plug_ins(const std::string& folder) {
  const auto names = Registry<T>::instance().names();
  EXPECT_FALSE(names.empty()) << folder;
  for (const std::string& name : names) {
    const std::string file = Registry<T>::instance().find(name)->file;
    EXPECT_TRUE(is_file(file, folder + "/" + name + ".cpp")) << name << " is registered in " << file;
    EXPECT_FALSE(Registry<T>::instance().find(name)->summary.empty()) << name << " has no summary";
  }
}

/// The linker drops nothing: each file that registers something is in the program.
template <class T>
void expect_all_files_registered(const std::string& folder) {
  for (const auto& entry : fs::directory_iterator(source_folder() / folder)) {
    if (entry.path().extension() != ".cpp" || text_of(entry.path()).find("registered") == std::string::npos) continue;
    bool found = false;
    for (const std::string& name : Registry<T>::instance().names())
      found = found || is_file(Registry<T>::instance().find(name)->file, folder + "/" + entry.path().filename().string());
    // One folder may hold plug-ins of two interfaces (optimizers and clippings).
    found = found || (folder == "core/optim");
    EXPECT_TRUE(found) << entry.path() << " registers nothing";
  }
}

template <class T>
void expect_folder(const std::string& folder) {
  expect_files_named_after_plug_ins<T>(folder);
  expect_all_files_registered<T>(folder);
}

TEST(RegistryTest, EveryPlugInHasAFileOfItsName) {
  expect_folder<Layer>("core/layers");
  expect_folder<Loss>("core/losses");
  expect_folder<Metric>("core/metrics");
  expect_folder<Initializer>("core/initializers");
  expect_folder<Optimizer>("core/optim");
  expect_folder<Clipping>("core/optim");
  expect_folder<Schedule>("core/schedules");
  expect_folder<Augmentation>("io/augmentations");
}

TEST(RegistryTest, EverySubcommandHasAFileOfItsName) {
  for (const auto& [name, command] : Commands::instance().all()) {
    std::string file = name;
    std::ranges::replace(file, ' ', '_');
    EXPECT_TRUE(is_file(command.file, "launch/commands/" + file + ".cpp")) << command.file;
  }
  const auto files = std::ranges::distance(fs::directory_iterator(source_folder() / "launch/commands"), fs::directory_iterator{});
  EXPECT_EQ(std::ssize(Commands::instance().all()), files) << "a file that registers no command";
}

/// The README speaks of every command, layer, loss, optimizer, schedule and clipping there is.
TEST(ReadmeTest, NamesEveryPlugInAndCommand) {
  const std::string readme = text_of(source_folder() / "README.md");
  const auto expect_named = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names) EXPECT_NE(readme.find(name), std::string::npos) << "README.md does not name " << name;
  };
  expect_named(Commands::instance().names());
  expect_named(Registry<Layer>::instance().names());
  expect_named(Registry<Loss>::instance().names());
  expect_named(Registry<Optimizer>::instance().names());
  expect_named(Registry<Schedule>::instance().names());
  expect_named(Registry<Clipping>::instance().names());
}

}  // namespace
}  // namespace lockstep
