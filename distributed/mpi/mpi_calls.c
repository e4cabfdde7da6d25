#include "mpi_calls.h"

#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* intptr_t holds what an MPI takes for a handle, an int or a pointer. */
static LockstepMpiHandle from_comm(MPI_Comm comm) { return (LockstepMpiHandle)(intptr_t)comm; }
static MPI_Comm to_comm(LockstepMpiHandle handle) { return (MPI_Comm)(intptr_t)handle; }
static LockstepMpiHandle from_request(MPI_Request request) { return (LockstepMpiHandle)(intptr_t)request; }
static MPI_Request to_request(LockstepMpiHandle handle) { return (MPI_Request)(intptr_t)handle; }

static void copy_text(char* to, size_t room, const char* from, int length) {
  size_t bytes = length > 0 ? (size_t)length : 0;
  if (room == 0) return;
  if (bytes > room - 1) bytes = room - 1;
  memcpy(to, from, bytes);
  to[bytes] = 0;
}

static int library_version(char* text, size_t room) {
  char all[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  const int code = MPI_Get_library_version(all, &length);
  copy_text(text, room, all, code == MPI_SUCCESS ? length : 0);
  return code;
}

static int error_text(int code, char* text, size_t room) {
  char all[MPI_MAX_ERROR_STRING];
  int length = 0;
  const int failed = MPI_Error_string(code, all, &length);
  copy_text(text, room, all, failed == MPI_SUCCESS ? length : 0);
  return failed;
}

static int start(LockstepMpiHandle* world, int* serialized) {
  int started = 0, provided = MPI_THREAD_SINGLE, code = MPI_Initialized(&started);
  if (code == MPI_SUCCESS) code = started ? MPI_Query_thread(&provided) : MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
  *world = from_comm(MPI_COMM_WORLD);
  *serialized = provided >= MPI_THREAD_SERIALIZED;
  return code;
}

static int finalize(void) { return MPI_Finalize(); }
static int abort_world(int code) { return MPI_Abort(MPI_COMM_WORLD, code); }

static int return_errors(LockstepMpiHandle comm) { return MPI_Comm_set_errhandler(to_comm(comm), MPI_ERRORS_RETURN); }
static int rank_in(LockstepMpiHandle comm, int* rank) { return MPI_Comm_rank(to_comm(comm), rank); }
static int size_of(LockstepMpiHandle comm, int* ranks) { return MPI_Comm_size(to_comm(comm), ranks); }

static int split(LockstepMpiHandle comm, int colour, int key, LockstepMpiHandle* group) {
  MPI_Comm made = MPI_COMM_NULL;
  const int code = MPI_Comm_split(to_comm(comm), colour, key, &made);
  *group = from_comm(made);
  return code;
}

static int split_by_host(LockstepMpiHandle comm, int key, LockstepMpiHandle* group) {
  MPI_Comm made = MPI_COMM_NULL;
  const int code = MPI_Comm_split_type(to_comm(comm), MPI_COMM_TYPE_SHARED, key, MPI_INFO_NULL, &made);
  *group = from_comm(made);
  return code;
}

static int free_comm(LockstepMpiHandle comm) {
  MPI_Comm freed = to_comm(comm);
  return MPI_Comm_free(&freed);
}

static int barrier(LockstepMpiHandle comm) { return MPI_Barrier(to_comm(comm)); }

static int broadcast(LockstepMpiHandle comm, void* data, int bytes, int root) {
  return MPI_Bcast(data, bytes, MPI_BYTE, root, to_comm(comm));
}

static int sum_f32(LockstepMpiHandle comm, float* data, int count) {
  return MPI_Allreduce(MPI_IN_PLACE, data, count, MPI_FLOAT, MPI_SUM, to_comm(comm));
}

static int sum_f64(LockstepMpiHandle comm, double* data, int count) {
  return MPI_Allreduce(MPI_IN_PLACE, data, count, MPI_DOUBLE, MPI_SUM, to_comm(comm));
}

static int all_gather(LockstepMpiHandle comm, const void* send, int send_bytes, void* receive, const int* bytes, const int* places) {
  return MPI_Allgatherv(send ? send : MPI_IN_PLACE, send_bytes, MPI_BYTE, receive, bytes, places, MPI_BYTE, to_comm(comm));
}

static int send_to(LockstepMpiHandle comm, const void* data, int bytes, int to, int tag, LockstepMpiHandle* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Isend(data, bytes, MPI_BYTE, to, tag, to_comm(comm), &made);
  *request = from_request(made);
  return code;
}

static int receive_from(LockstepMpiHandle comm, void* data, int bytes, int from, int tag, LockstepMpiHandle* request) {
  MPI_Request made = MPI_REQUEST_NULL;
  const int code = MPI_Irecv(data, bytes, MPI_BYTE, from, tag, to_comm(comm), &made);
  *request = from_request(made);
  return code;
}

/* MPI_Waitall itself says only that some request failed: the reason stands in that request's status. */
static int wait_all(int count, const LockstepMpiHandle* requests) {
  MPI_Request* all;
  MPI_Status* statuses;
  int i, code = MPI_ERR_NO_MEM;
  if (count <= 0) return MPI_SUCCESS;
  all = (MPI_Request*)malloc((size_t)count * sizeof(MPI_Request));
  statuses = (MPI_Status*)malloc((size_t)count * sizeof(MPI_Status));
  if (all && statuses) {
    for (i = 0; i < count; ++i) all[i] = to_request(requests[i]);
    code = MPI_Waitall(count, all, statuses);
    for (i = 0; i < count && code == MPI_ERR_IN_STATUS; ++i)
      if (statuses[i].MPI_ERROR != MPI_SUCCESS && statuses[i].MPI_ERROR != MPI_ERR_PENDING) code = statuses[i].MPI_ERROR;
  }
  free(all);
  free(statuses);
  return code;
}

const char* lockstep_plug_in_build(void) { return LOCKSTEP_MPI_BUILD; }

const LockstepMpiCalls* lockstep_mpi_calls(void) {
  static const LockstepMpiCalls calls = {
      .abi = LOCKSTEP_MPI_ABI,
      .size = sizeof(LockstepMpiCalls),
      .library_version = library_version,
      .error_text = error_text,
      .start = start,
      .finalize = finalize,
      .abort = abort_world,
      .return_errors = return_errors,
      .rank_in = rank_in,
      .size_of = size_of,
      .split = split,
      .split_by_host = split_by_host,
      .free = free_comm,
      .barrier = barrier,
      .broadcast = broadcast,
      .sum_f32 = sum_f32,
      .sum_f64 = sum_f64,
      .all_gather = all_gather,
      .send = send_to,
      .receive = receive_from,
      .wait_all = wait_all,
  };
  return &calls;
}
