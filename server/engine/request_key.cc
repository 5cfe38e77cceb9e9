#include "server/engine/request_key.h"

#include <openssl/evp.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>

namespace predictd {
namespace {

// A running SHA-256. Small pieces are gathered first, because each call of the library costs as much as hashing 50
// bytes.
class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new()) {
    // With only a name the library would look the algorithm up each time.
    static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    ok_ = context_ != nullptr && sha256 != nullptr && EVP_DigestInit_ex2(context_.get(), sha256, nullptr) == 1;
  }

  void AddNumber(uint64_t number) { AddBytes(&number, sizeof(number)); }

  void AddBytes(const void* data, size_t size) {
    if (size > sizeof(gathered_) - used_) Flush();
    if (size > sizeof(gathered_)) {
      Update(data, size);
    } else if (size > 0) {
      std::memcpy(gathered_ + used_, data, size);
      used_ += size;
    }
  }

  std::optional<RequestKey> Finish() {
    Flush();
    RequestKey key;
    static_assert(sizeof(key) == 32);
    ok_ = ok_ && EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(key.data()), nullptr) == 1;
    if (!ok_) return std::nullopt;
    return key;
  }

 private:
  void Flush() {
    Update(gathered_, used_);
    used_ = 0;
  }

  void Update(const void* data, size_t size) { ok_ = ok_ && EVP_DigestUpdate(context_.get(), data, size) == 1; }

  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };

  const std::unique_ptr<EVP_MD_CTX, Free> context_;
  bool ok_ = false;
  size_t used_ = 0;
  std::byte gathered_[512];
};

// The number of bytes that the elements contribute to the hash's input.
size_t HashedBytes(const Tensor& tensor) {
  if (tensor.dtype() != DType::kBytes) return tensor.byte_size();
  size_t bytes = 0;
  for (const std::string& string : tensor.strings()) bytes += sizeof(uint64_t) + string.size();
  return bytes;
}

// Everything of variable length follows its length, so that the hashed bytes can be read in only one way.
void AddTensor(const Tensor& tensor, Hasher& hasher) {
  hasher.AddNumber(static_cast<uint64_t>(tensor.dtype()));
  // An absent tensor has a rank that no tensor can have.
  hasher.AddNumber(tensor.present() ? tensor.shape().size() : std::numeric_limits<uint64_t>::max());
  for (int64_t extent : tensor.shape()) hasher.AddNumber(static_cast<uint64_t>(extent));
  if (tensor.dtype() != DType::kBytes) {
    hasher.AddBytes(tensor.data(), tensor.byte_size());
    return;
  }
  for (const std::string& string : tensor.strings()) {
    hasher.AddNumber(string.size());
    hasher.AddBytes(string.data(), string.size());
  }
}

}  // namespace

std::optional<RequestKey> MakeRequestKey(int64_t version, absl::Span<const Tensor> inputs) {
  size_t bytes = 0;
  for (const Tensor& input : inputs) bytes += HashedBytes(input);
  if (bytes > kMaxKeyedBytes) return std::nullopt;
  Hasher hasher;
  hasher.AddNumber(static_cast<uint64_t>(version));
  hasher.AddNumber(inputs.size());
  for (const Tensor& input : inputs) AddTensor(input, hasher);
  return hasher.Finish();
}

}  // namespace predictd
