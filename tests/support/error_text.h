#pragma once

#include <string>

#include "core/base/error.h"

namespace lockstep::test {

/// The message of the Error that `act` throws, or "no error".
template <class Act>
std::string error_text(const Act& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace lockstep::test
