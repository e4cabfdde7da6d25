# Tests that run as several processes under mpirun: add_mpi_test(name target RANKS 1 2 4 [ARGS ...]).
function(add_mpi_test name target)
  cmake_parse_arguments(PARSE_ARGV 2 TEST "" "" "RANKS;ARGS")
  foreach(ranks ${TEST_RANKS})
    add_test(NAME mpi/${name}/${ranks}_ranks
      COMMAND ${MPIEXEC_EXECUTABLE} -np ${ranks} --bind-to none --oversubscribe --mca mpi_yield_when_idle 1 $<TARGET_FILE:${target}> ${TEST_ARGS})
    set_tests_properties(mpi/${name}/${ranks}_ranks PROPERTIES LABELS mpi TIMEOUT 60 PROCESSORS ${ranks}
      ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
  endforeach()
endfunction()

if(TARGET lockstep_mpi)
  add_executable(mpi_checks ${CMAKE_SOURCE_DIR}/tests/distributed/mpi_checks.cpp)
  target_link_libraries(mpi_checks PRIVATE lockstep GTest::gtest)
  target_compile_options(mpi_checks PRIVATE -O1)
  add_dependencies(mpi_checks lockstep_mpi)
  add_dependencies(lockstep_tests mpi_checks)
  add_mpi_test(distributed mpi_checks RANKS 1 2 3 4)
  add_mpi_test(distributed_in_pieces mpi_checks RANKS 2 3 ARGS 64)
endif()
