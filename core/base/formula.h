#pragma once

/// Marks a formula that is written once and compiled for the CPU and for CUDA. The CUDA build defines it on the
/// compiler's command line as `__host__ __device__`; everywhere else it is empty.
#ifndef LOCKSTEP_FORMULA
#define LOCKSTEP_FORMULA
#endif
