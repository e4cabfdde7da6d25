#ifndef LOCKSTEP_DISTRIBUTED_MPI_MPI_CALLS_H
#define LOCKSTEP_DISTRIBUTED_MPI_MPI_CALLS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What lies between Lockstep and an MPI: C99, without mpi.h and without anything else of Lockstep, so that one file,
/// mpi_calls.c, built by a site's own mpicc, serves every Lockstep of the same number. Raise it with every change of this header.
#define LOCKSTEP_MPI_ABI 1
/// What the plug-in's `lockstep_plug_in_build` returns: "lockstep mpi 1".
#define LOCKSTEP_MPI_BUILD "lockstep mpi " LOCKSTEP_MPI_TEXT(LOCKSTEP_MPI_ABI)
#define LOCKSTEP_MPI_TEXT(number) LOCKSTEP_MPI_TEXT_OF(number)
#define LOCKSTEP_MPI_TEXT_OF(number) #number

/// An MPI_Comm or an MPI_Request: an integer in one MPI, a pointer in another.
typedef long long LockstepMpiHandle;

/// Each function is one call of MPI and returns 0 or MPI's error code. Lengths are in bytes where no type is named. One call at a time.
typedef struct LockstepMpiCalls {
  int abi;      ///< LOCKSTEP_MPI_ABI
  size_t size;  ///< sizeof(LockstepMpiCalls)

  /// MPI_Get_library_version, before `start` too. `text` has `room` bytes, the closing zero among them; a longer text is cut.
  int (*library_version)(char* text, size_t room);
  /// MPI_Error_string, in the same way.
  int (*error_text)(int code, char* text, size_t room);

  /// MPI_Init_thread, unless MPI runs already. `serialized`: threads may call it in turns (MPI_THREAD_SERIALIZED or better).
  int (*start)(LockstepMpiHandle* world, int* serialized);
  int (*finalize)(void);
  /// MPI_Abort of the world.
  int (*abort)(int code);

  /// MPI_Comm_set_errhandler to MPI_ERRORS_RETURN: the first call on a communicator.
  int (*return_errors)(LockstepMpiHandle comm);
  int (*rank_in)(LockstepMpiHandle comm, int* rank);
  int (*size_of)(LockstepMpiHandle comm, int* ranks);
  int (*split)(LockstepMpiHandle comm, int colour, int key, LockstepMpiHandle* group);
  /// MPI_Comm_split_type with MPI_COMM_TYPE_SHARED: the ranks of one host.
  int (*split_by_host)(LockstepMpiHandle comm, int key, LockstepMpiHandle* group);
  int (*free)(LockstepMpiHandle comm);

  int (*barrier)(LockstepMpiHandle comm);
  int (*broadcast)(LockstepMpiHandle comm, void* data, int bytes, int root);
  /// MPI_Allreduce with MPI_SUM, in place.
  int (*sum_f32)(LockstepMpiHandle comm, float* data, int count);
  int (*sum_f64)(LockstepMpiHandle comm, double* data, int count);
  /// MPI_Allgatherv. A null `send` is MPI_IN_PLACE.
  int (*all_gather)(LockstepMpiHandle comm, const void* send, int send_bytes, void* receive, const int* bytes, const int* places);

  /// MPI_Isend, MPI_Irecv and, once for each of their requests, MPI_Waitall.
  int (*send)(LockstepMpiHandle comm, const void* data, int bytes, int to, int tag, LockstepMpiHandle* request);
  int (*receive)(LockstepMpiHandle comm, void* data, int bytes, int from, int tag, LockstepMpiHandle* request);
  int (*wait_all)(int count, const LockstepMpiHandle* requests);
} LockstepMpiCalls;

/// What the plug-in library exports.
const char* lockstep_plug_in_build(void);
const LockstepMpiCalls* lockstep_mpi_calls(void);

#ifdef __cplusplus
}
#endif

#endif
