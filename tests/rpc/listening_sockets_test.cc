#include "server/rpc/listening_sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

ListenAddress Address(const std::string& text) {
  return *ParseListenAddress(text);
}

bool Connects(int port) {
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

bool ConnectsTo(const std::string& path) {
  const FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

TEST(ListeningSocketsTest, ChooseAFreePortAndCloseIt) {
  int port = 0;
  {
    const auto bound = ListeningSockets::Bind(Address("127.0.0.1:0"));
    ASSERT_TRUE(bound.ok()) << bound.status();
    port = bound->port();
    EXPECT_GT(port, 0);
    EXPECT_TRUE(Connects(port));
  }
  EXPECT_FALSE(Connects(port));
}

TEST(ListeningSocketsTest, ShareNoPortAndSayWhy) {
  const auto first = ListeningSockets::Bind(Address("127.0.0.1:0"));
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = ListeningSockets::Bind(Address(absl::StrCat("127.0.0.1:", first->port())));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  const std::string message(second.status().message());
  EXPECT_NE(message.find("Address already in use"), std::string::npos) << message;
  EXPECT_NE(message.find(absl::StrCat(first->port())), std::string::npos) << message;
}

TEST(ListeningSocketsTest, ListenOnEveryAddressOfANameWithOnePort) {
  const auto bound = ListeningSockets::Bind(Address("localhost:0"));
  ASSERT_TRUE(bound.ok()) << bound.status();
  EXPECT_TRUE(Connects(bound->port()));
}

TEST(ListeningSocketsTest, SayThatAnAddressIsNotOfThisMachine) {
  const auto bound = ListeningSockets::Bind(Address("192.0.2.1:0"));
  ASSERT_FALSE(bound.ok());
  EXPECT_NE(bound.status().message().find("Cannot assign requested address"), absl::string_view::npos)
      << bound.status();
}

TEST(ListeningSocketsTest, SayThatANameIsUnknown) {
  const auto bound = ListeningSockets::Bind(Address("no-such-host.invalid:0"));
  ASSERT_FALSE(bound.ok());
  EXPECT_NE(bound.status().message().find("no-such-host.invalid"), absl::string_view::npos) << bound.status();
}

TEST(ListeningSocketsTest, RemoveTheFileOfAUnixSocketWhenTheyClose) {
  const TempFolder folder;
  const std::string path = (folder.path() / "socket").string();
  {
    const auto bound = ListeningSockets::Bind(Address("unix:" + path));
    ASSERT_TRUE(bound.ok()) << bound.status();
    EXPECT_TRUE(ConnectsTo(path));
    const auto second = ListeningSockets::Bind(Address("unix:" + path));
    EXPECT_FALSE(second.ok());
    EXPECT_TRUE(ConnectsTo(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ListeningSocketsTest, ReplaceAUnixSocketThatADeadServerLeft) {
  const TempFolder folder;
  const std::string path = (folder.path() / "socket").string();
  {
    const FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto bound = ListeningSockets::Bind(Address("unix:" + path));
  ASSERT_TRUE(bound.ok()) << bound.status();
  EXPECT_TRUE(ConnectsTo(path));
}

TEST(ListeningSocketsTest, LeaveAFileThatIsNoSocketAlone) {
  const TempFolder folder;
  folder.Write("file", "content");
  EXPECT_FALSE(ListeningSockets::Bind(Address("unix:" + (folder.path() / "file").string())).ok());
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "file"));
}

}  // namespace
}  // namespace predictd
