#include "proto/descriptors.h"

// The file is too large for an array in C++, which takes the compiler seconds.
asm(R"(
  .section .rodata
  .global predictd_descriptor_set_begin
  .global predictd_descriptor_set_end
  .balign 16
predictd_descriptor_set_begin:
  .incbin ")" PREDICTD_DESCRIPTOR_SET R"("
predictd_descriptor_set_end:
  .byte 0
  .previous
)");

extern "C" const char predictd_descriptor_set_begin[];
extern "C" const char predictd_descriptor_set_end[];

namespace predictd {

std::string_view DescriptorSetWithComments() {
  return {predictd_descriptor_set_begin, predictd_descriptor_set_end};
}

}  // namespace predictd
