#include "server/compiled/elf_imports.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/status/status.h"

namespace predictd {
namespace {

// The bytes [begin, begin + size) of the file; nullopt if they exceed it.
std::optional<absl::string_view> Part(absl::string_view file, uint64_t begin, uint64_t size) {
  if (begin > file.size() || size > file.size() - begin) return std::nullopt;
  return file.substr(begin, size);
}

// Copies the value, as nothing in a file is aligned.
template <class T>
std::optional<T> Read(absl::string_view file, uint64_t at) {
  const std::optional<absl::string_view> part = Part(file, at, sizeof(T));
  if (!part.has_value()) return std::nullopt;
  T value;
  std::memcpy(&value, part->data(), sizeof(T));
  return value;
}

std::optional<Elf64_Shdr> Section(absl::string_view file, const Elf64_Ehdr& header, uint64_t index) {
  if (index >= header.e_shnum || header.e_shoff > file.size()) return std::nullopt;
  return Read<Elf64_Shdr>(file, header.e_shoff + index * sizeof(Elf64_Shdr));
}

// The string that begins at `at`, up to its terminating 0.
absl::string_view TextAt(absl::string_view texts, uint64_t at) {
  if (at >= texts.size()) return {};
  return texts.substr(at, texts.substr(at).find('\0'));
}

std::optional<std::vector<std::string>> Undefined(absl::string_view symbols, absl::string_view names) {
  std::vector<std::string> undefined;
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.size(); at += sizeof(Elf64_Sym)) {
    const std::optional<Elf64_Sym> symbol = Read<Elf64_Sym>(symbols, at);
    if (!symbol.has_value()) return std::nullopt;
    const absl::string_view name = TextAt(names, symbol->st_name);
    if (symbol->st_shndx == SHN_UNDEF && !name.empty()) undefined.emplace_back(name);
  }
  return undefined;
}

std::optional<std::vector<std::string>> Find(absl::string_view file) {
  const std::optional<Elf64_Ehdr> header = Read<Elf64_Ehdr>(file, 0);
  if (!header.has_value() || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_shentsize != sizeof(Elf64_Shdr)) {
    return std::nullopt;
  }
  for (uint64_t i = 0; i < header->e_shnum; ++i) {
    const std::optional<Elf64_Shdr> symbols = Section(file, *header, i);
    if (!symbols.has_value()) return std::nullopt;
    if (symbols->sh_type != SHT_DYNSYM) continue;
    const std::optional<Elf64_Shdr> names = Section(file, *header, symbols->sh_link);
    if (!names.has_value()) return std::nullopt;
    const std::optional<absl::string_view> symbol_bytes = Part(file, symbols->sh_offset, symbols->sh_size);
    const std::optional<absl::string_view> name_bytes = Part(file, names->sh_offset, names->sh_size);
    if (!symbol_bytes.has_value() || !name_bytes.has_value()) return std::nullopt;
    return Undefined(*symbol_bytes, *name_bytes);
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ElfImports(absl::string_view library) {
  std::optional<std::vector<std::string>> found = Find(library);
  if (!found.has_value()) return absl::InvalidArgumentError("it is no shared library whose imports can be read");
  return *std::move(found);
}

}  // namespace predictd
