#ifndef PREDICTD_PROTO_DESCRIPTORS_H_
#define PREDICTD_PROTO_DESCRIPTORS_H_

#include <string_view>

namespace predictd {

// A serialized google.protobuf.FileDescriptorSet of all files that the services consist of, with their comments, which
// generated code lacks. Each file comes after what it imports.
std::string_view DescriptorSetWithComments();

}  // namespace predictd

#endif  // PREDICTD_PROTO_DESCRIPTORS_H_
