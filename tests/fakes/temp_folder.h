#ifndef PREDICTD_TESTS_FAKES_TEMP_FOLDER_H_
#define PREDICTD_TESTS_FAKES_TEMP_FOLDER_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace predictd {

// A new folder for the files of one test, removed with the object.
class TempFolder {
 public:
  TempFolder() {
    std::string name = testing::TempDir() + "predictd-test-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "cannot make " << name;
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Writes a file, and creates the folders that lead to it.
  void Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_TEMP_FOLDER_H_
