# What `cmake --install --component client` installs: the client library and the protocol as a package, for
# find_package(predictd) and pkg-config.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Folders of its own: others install headers of google/rpc, too, and a program that has those does not want ours.
set(INCLUDES ${CMAKE_INSTALL_INCLUDEDIR}/predictd)
set(GOOGLE_RPC_INCLUDES ${INCLUDES}/google_rpc)
set(PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/predictd)
set(PROTOS ${CMAKE_INSTALL_DATADIR}/predictd/proto)
set(GENERATED ${PROJECT_BINARY_DIR}/proto/gen)

set_target_properties(predictd_google_rpc PROPERTIES EXPORT_NAME google_rpc)
set_target_properties(predictd_proto PROPERTIES EXPORT_NAME proto)
set_target_properties(predictd_client PROPERTIES EXPORT_NAME client)
install(TARGETS predictd_google_rpc EXPORT predictd-google-rpc
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client
  INCLUDES DESTINATION ${GOOGLE_RPC_INCLUDES})
install(TARGETS predictd_proto predictd_client EXPORT predictd
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client
  INCLUDES DESTINATION ${INCLUDES})
foreach(EXPORT predictd-google-rpc predictd)
  install(EXPORT ${EXPORT} NAMESPACE predictd:: FILE ${EXPORT}-targets.cmake DESTINATION ${PACKAGE} COMPONENT client)
endforeach()

file(GLOB HEADERS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
install(FILES ${HEADERS} DESTINATION ${INCLUDES}/client COMPONENT client)
install(DIRECTORY ${GENERATED}/predictd DESTINATION ${INCLUDES} COMPONENT client FILES_MATCHING PATTERN *.h)
if(NOT PREDICTD_GOOGLE_RPC_TARGETS)
  install(DIRECTORY ${GENERATED}/google
    DESTINATION ${GOOGLE_RPC_INCLUDES} COMPONENT client FILES_MATCHING PATTERN *.h)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/proto/predictd ${PROJECT_SOURCE_DIR}/proto/google
  DESTINATION ${PROTOS} COMPONENT client FILES_MATCHING PATTERN *.proto)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/predictd-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/predictd-config.cmake INSTALL_DESTINATION ${PACKAGE} PATH_VARS PROTOS)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/predictd-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/predictd-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/predictd-config-version.cmake
  DESTINATION ${PACKAGE} COMPONENT client)

# The prefix is found from where the file lies.
file(RELATIVE_PATH PREFIX_FROM_PKGCONFIG /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" PREFIX_FROM_PKGCONFIG ${PREFIX_FROM_PKGCONFIG})
configure_file(${CMAKE_CURRENT_LIST_DIR}/predictd.pc.in ${CMAKE_CURRENT_BINARY_DIR}/predictd.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/predictd.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT client)
