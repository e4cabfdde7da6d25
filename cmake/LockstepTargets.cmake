# One shared library (one registry, one set of types), the program, and plug-in libraries opened at run time.
# Folders are globbed: a new file is a new plug-in, and nothing here names it.
add_library(lockstep_flags INTERFACE)
target_include_directories(lockstep_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(lockstep_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers
  $<$<BOOL:${LOCKSTEP_WERROR}>:-Werror>
  # g++ 12 warns wrongly inside std::string and std::vector.
  -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
  # The same operations in a loop's body and its tail, and on every machine of a level: no contraction, no fast-math.
  -ffp-contract=off -fopenmp-simd -fno-math-errno -fno-trapping-math
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_compile_options(lockstep_flags INTERFACE $<$<CONFIG:Release>:-g1>)
# The oldest processor that the binary starts on; hot loops and oneDNN pick better at run time.
target_compile_options(lockstep_flags INTERFACE -march=x86-64-v2 -mtune=generic)
target_link_libraries(lockstep_flags INTERFACE fmt::fmt Threads::Threads)

file(GLOB_RECURSE core_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/*.cpp)
list(FILTER core_sources EXCLUDE REGEX "/core/backend/")
file(GLOB backend_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/backend/*.cpp)
file(GLOB cpu_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/backend/cpu/*.cpp)
file(GLOB io_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/io/*.cpp ${CMAKE_SOURCE_DIR}/io/*/*.cpp)
file(GLOB distributed_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/distributed/*.cpp)
file(GLOB launch_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/launch/*.cpp ${CMAKE_SOURCE_DIR}/launch/*/*.cpp)
list(FILTER launch_sources EXCLUDE REGEX "/launch/main.cpp$")

function(lockstep_objects name)
  add_library(${name} OBJECT ${ARGN})
  target_link_libraries(${name} PRIVATE lockstep_flags)
  # Without a compiler cache the common headers are read once: a first build is a third shorter.
  if(NOT CCACHE)
    target_precompile_headers(${name} PRIVATE <algorithm> <cstdint> <filesystem> <functional> <map> <memory> <optional> <set> <span> <string>
      <string_view> <variant> <vector> <fmt/format.h>)
  endif()
endfunction()

lockstep_objects(lockstep_core ${core_sources} ${backend_sources})
target_include_directories(lockstep_core PRIVATE ${CMAKE_SOURCE_DIR}/core/backend/cpu)
set(object_libraries lockstep_core)
if(cpu_sources)
  lockstep_objects(lockstep_cpu ${cpu_sources})
  target_include_directories(lockstep_cpu PRIVATE ${DNNL_INCLUDE_DIR} ${CMAKE_SOURCE_DIR}/core/backend/cpu)
  target_link_libraries(lockstep_cpu PRIVATE OpenMP::OpenMP_CXX)
  list(APPEND object_libraries lockstep_cpu)
endif()
if(io_sources)
  lockstep_objects(lockstep_io ${io_sources})
  target_include_directories(lockstep_io PRIVATE ${HDF5_INCLUDE_DIRS})
  target_link_libraries(lockstep_io PRIVATE nlohmann_json::nlohmann_json ZLIB::ZLIB)
  list(APPEND object_libraries lockstep_io)
endif()
if(distributed_sources)
  lockstep_objects(lockstep_distributed ${distributed_sources})
  list(APPEND object_libraries lockstep_distributed)
endif()
if(launch_sources)
  lockstep_objects(lockstep_launch ${launch_sources})
  # Nothing here is hot, and it is a third of what a first build waits for.
  target_compile_options(lockstep_launch PRIVATE $<$<CONFIG:Release>:-O1>)
  target_compile_definitions(lockstep_launch PRIVATE SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
  target_link_libraries(lockstep_launch PRIVATE spdlog::spdlog nlohmann_json::nlohmann_json tomlplusplus::tomlplusplus Boost::program_options)
  list(APPEND object_libraries lockstep_launch)
endif()

add_library(lockstep SHARED)
target_link_libraries(lockstep PRIVATE ${object_libraries} spdlog::spdlog Boost::program_options ${HDF5_C_LIBRARIES} ${DNNL_LIBRARY}
  OpenMP::OpenMP_CXX ZLIB::ZLIB ${XXHASH_LIBRARY} ${CMAKE_DL_LIBS})
target_link_libraries(lockstep PUBLIC lockstep_flags)

if(EXISTS ${CMAKE_SOURCE_DIR}/launch/main.cpp)
  add_executable(lockstep_program ${CMAKE_SOURCE_DIR}/launch/main.cpp)
  set_target_properties(lockstep_program PROPERTIES OUTPUT_NAME lockstep)
  target_link_libraries(lockstep_program PRIVATE lockstep)
  install(TARGETS lockstep_program RUNTIME DESTINATION bin)
endif()
install(TARGETS lockstep LIBRARY DESTINATION lib)

# C alone: the same file is built by distributed/mpi/build.sh with a site's own mpicc, and is shipped for that.
if(LOCKSTEP_MPI)
  add_library(lockstep_mpi MODULE ${CMAKE_SOURCE_DIR}/distributed/mpi/mpi_calls.c)
  set_target_properties(lockstep_mpi PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
  target_compile_options(lockstep_mpi PRIVATE -Wall -Wextra -Wpedantic $<$<BOOL:${LOCKSTEP_WERROR}>:-Werror>)
  target_link_libraries(lockstep_mpi PRIVATE MPI::MPI_C)
  install(TARGETS lockstep_mpi LIBRARY DESTINATION lib OPTIONAL)
endif()
