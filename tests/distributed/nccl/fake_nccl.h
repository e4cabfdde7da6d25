#pragma once

/// How the tests steer the library that stands for NCCL. Looked up by name in the loaded library.
extern "C" {
enum FakeFault {
  kFakeNone = 0,
  kFakeStartFails = 1,   ///< ncclCommInitRankConfig fails at once
  kFakeNeverStarts = 2,  ///< and never comes to an end
  kFakePeerLost = 3,     ///< an asynchronous error, until the next fault is set
  kFakeAbortHangs = 4,   ///< as NCCL's does while a recording lives
  kFakeCallsHang = 5,    ///< what is queued stays in progress
};
struct FakeCounts {
  int groups, sends, receives, gathers, broadcasts, sums, aborts, finalized, destroyed;
};
/// Of one rank, or of all (-1).
void fake_nccl_fault(int rank, int fault);
/// The version that the calling thread sees.
void fake_nccl_version(int version);
/// Calls on all ranks since the last time.
FakeCounts fake_nccl_counts();
}
