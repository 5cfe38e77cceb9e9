#ifndef PREDICTD_SERVER_MODEL_FOLDER_STAMP_H_
#define PREDICTD_SERVER_MODEL_FOLDER_STAMP_H_

#include <cstdint>
#include <filesystem>

namespace predictd {

// A number that changes when something in the folder does, without reading its files: it is made of their names,
// inodes, sizes and times of change. What cannot be looked at counts, too, by its error; hidden files and those
// whose names end with ~ do not count. Links in the folder
// are followed, those further down only to files. Of a folder with thousands of entries or very deep ones only the
// first count.
uint64_t StampFolder(const std::filesystem::path& folder);

// The same of a single file, or of what a link in its place leads to.
uint64_t StampFile(const std::filesystem::path& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_FOLDER_STAMP_H_
