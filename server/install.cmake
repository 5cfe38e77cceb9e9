# Where the server finds what it is linked with, and what `cmake --install --component server` installs.
include(GNUInstallDirs)

# LibTorch is not ours to install: beside what PREDICTD_LIBTORCH_RUN_PATH says it is looked for in a folder, or link, below
# lib/. The build has the same layout. If the run path changed when the server is installed, CMake would end that of the
# build with an empty entry, which means the working directory.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/lib/predictd)
file(CREATE_LINK ${PREDICTD_SITE_PACKAGES}/torch/lib ${CMAKE_BINARY_DIR}/lib/predictd/libtorch SYMBOLIC)
set_target_properties(predictd PROPERTIES
  BUILD_WITH_INSTALL_RPATH ON
  INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN/../lib/predictd/libtorch;${PREDICTD_LIBTORCH_RUN_PATH}")
set_target_properties(predictd_kernels PROPERTIES
  BUILD_WITH_INSTALL_RPATH ON
  INSTALL_RPATH "$ORIGIN/predictd/libtorch;${PREDICTD_LIBTORCH_RUN_PATH}")

if(PREDICTD_INSTALL)
  install(TARGETS predictd predictd_kernels RUNTIME DESTINATION bin LIBRARY DESTINATION lib COMPONENT server)
  # As they lie here, so that their links lead somewhere.
  foreach(DOCUMENT README.md client/README.md deploy/README.md proto/README.md server/model/README.md)
    cmake_path(GET DOCUMENT PARENT_PATH FOLDER)
    install(FILES ${PROJECT_SOURCE_DIR}/${DOCUMENT} DESTINATION ${CMAKE_INSTALL_DOCDIR}/${FOLDER} COMPONENT server)
  endforeach()
endif()
