# What ships beside the program, in share/lockstep of an installation. The build tree has links at the same place, so a program finds
# its files there too.
set(LOCKSTEP_SHARED ${CMAKE_BINARY_DIR}/share/lockstep)
file(MAKE_DIRECTORY ${LOCKSTEP_SHARED})
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/examples ${LOCKSTEP_SHARED}/examples SYMBOLIC)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/core/backend/cuda/devices ${LOCKSTEP_SHARED}/devices SYMBOLIC)
install(DIRECTORY core/backend/cuda/devices/ DESTINATION share/lockstep/devices FILES_MATCHING PATTERN "*.json")
# Made when wanted: launch/carry_plans.sh.
file(MAKE_DIRECTORY ${LOCKSTEP_SHARED}/plans)
install(DIRECTORY ${LOCKSTEP_SHARED}/plans/ DESTINATION share/lockstep/plans FILES_MATCHING PATTERN "*.json")
install(DIRECTORY examples/ DESTINATION share/lockstep/examples FILES_MATCHING PATTERN "*.toml" PATTERN "runs" EXCLUDE)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/distributed/mpi ${LOCKSTEP_SHARED}/mpi SYMBOLIC)
install(FILES distributed/mpi/mpi_calls.c distributed/mpi/mpi_calls.h DESTINATION share/lockstep/mpi)
install(PROGRAMS distributed/mpi/build.sh DESTINATION share/lockstep/mpi)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/launch/job_scripts ${LOCKSTEP_SHARED}/job_scripts SYMBOLIC)
install(DIRECTORY launch/job_scripts/ DESTINATION share/lockstep/job_scripts USE_SOURCE_PERMISSIONS)
