#pragma once

#include <string>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace lockstep::test {

/// Expects `act` to throw an Error of this kind whose message begins with `text`.
template <class Act>
void expect_error(ErrorKind kind, const std::string& text, const Act& act) {
  try {
    act();
    ADD_FAILURE() << "no error; expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(std::string(error.what()).substr(0, text.size()), text);
  }
}

}  // namespace lockstep::test
