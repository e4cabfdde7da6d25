#include "launch/nvidia_libraries.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

class NvidiaLibrariesTest : public ::testing::Test {
 protected:
  std::string put(const std::string& folder) {
    fs::create_directories(fs::path(root.path()) / folder);
    const fs::path file = fs::path(root.path()) / folder / "libtry.so.9";
    std::ofstream(file) << "x";
    return file.string();
  }
  std::string at(const std::string& folder) const { return (fs::path(root.path()) / folder).string(); }
  std::vector<std::string> found(const std::map<std::string, std::string>& variables, const std::string& own = "") const {
    return nvidia_library_candidates("libtry.so.9", own, [&](const char* name) -> const char* {
      const auto it = variables.find(name);
      return it == variables.end() ? nullptr : it->second.c_str();
    });
  }
  testing::TemporaryDirectory root;
};

TEST_F(NvidiaLibrariesTest, OurVariableGoesAlone) {
  const std::string second = put("second");
  put("cuda/lib64");
  EXPECT_EQ(found({{"LOCKSTEP_CUDA_LIBRARIES", at("first") + ":" + at("second")}, {"CUDA_HOME", at("cuda")}}), std::vector<std::string>{second});
  EXPECT_TRUE(found({{"LOCKSTEP_CUDA_LIBRARIES", at("first")}}).empty());
}

TEST_F(NvidiaLibrariesTest, TheOrderIsBundleLoaderPythonToolkit) {
  const std::string own = put("bundle"), toolkit = put("cuda/lib64");
  const std::string environment = put("venv/lib/python3.11/site-packages/nvidia/cudnn/lib");
  const std::string user = put("home/.local/lib/python3.12/site-packages/nvidia/cu13/lib");
  put("venv/lib/python2.7/site-packages/nvidia/cudnn/lib");
  EXPECT_EQ(found({{"VIRTUAL_ENV", at("venv")}, {"HOME", at("home")}, {"CUDA_HOME", at("cuda")}}, at("bundle")),
            (std::vector<std::string>{own, "libtry.so.9", environment, user, toolkit}));
}

TEST_F(NvidiaLibrariesTest, WhatIsNotThereIsLeftToTheLoader) {
  EXPECT_EQ(found({{"VIRTUAL_ENV", at("nowhere")}}), std::vector<std::string>{"libtry.so.9"});
}

}  // namespace
}  // namespace lockstep
