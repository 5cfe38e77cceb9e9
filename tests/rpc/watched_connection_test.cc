// Tests what the watch makes of a connection whose calls go on, by a socket of this process.

#include "server/rpc/watched_connection.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "server/rpc/connection_policy.h"
#include "server/rpc/file_descriptor.h"
#include "server/rpc/peer_connection.h"

namespace predictd {
namespace {

// Both ends of a connection over loopback.
struct SocketPair {
  FileDescriptor server;
  FileDescriptor client;
};

SocketPair Connect() {
  const FileDescriptor listening(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listening.get(), any, size), 0);
  EXPECT_EQ(listen(listening.get(), 1), 0);
  EXPECT_EQ(getsockname(listening.get(), any, &size), 0);
  FileDescriptor client(socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(connect(client.get(), any, size), 0);
  return {FileDescriptor(accept(listening.get(), nullptr, nullptr)), std::move(client)};
}

class WatchedConnectionTest : public testing::Test {
 protected:
  WatchedConnectionTest()
      : sockets_(Connect()),
        watched_(connection_, std::move(sockets_.server), policy_, std::chrono::steady_clock::now()) {
    stream_.Begin(connection_);
  }

  // The peer sends so much that the next look is worth a judgement, and that is read.
  void Receive() {
    std::string bytes(4096, 'x');
    for (int i = 0; i < 32; ++i) {
      EXPECT_EQ(send(sockets_.client.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
      EXPECT_EQ(recv(watched_.socket(), bytes.data(), bytes.size(), MSG_WAITALL), static_cast<ssize_t>(bytes.size()));
    }
    watched_.Look(std::chrono::steady_clock::now());
  }

  const ConnectionPolicy policy_{.max_message_bytes = 1 << 20};
  const std::shared_ptr<PeerConnection> connection_ = std::make_shared<PeerConnection>("peer", "group");
  SocketPair sockets_;
  WatchedConnection watched_;
  ConnectionUse stream_;
};

TEST_F(WatchedConnectionTest, AMessageThatArrivesOrIsServedIsProgress) {
  Receive();
  EXPECT_FALSE(watched_.MovedSinceLook());
  stream_.OnMessage(100, /*more_may_follow=*/true);
  EXPECT_TRUE(watched_.MovedSinceLook());
  Receive();
  EXPECT_FALSE(watched_.MovedSinceLook());
  stream_.OnMessageServed(/*given_up=*/false);
  EXPECT_TRUE(watched_.MovedSinceLook());
}

TEST_F(WatchedConnectionTest, AMessageThatIsServedEndsTheStrikes) {
  Receive();
  watched_.AddStrike();
  watched_.AddStrike();
  stream_.OnMessageServed(/*given_up=*/true);
  Receive();
  watched_.Judge();
  EXPECT_EQ(watched_.strikes(), 2);
  stream_.OnMessageServed(/*given_up=*/false);
  Receive();
  watched_.Judge();
  EXPECT_EQ(watched_.strikes(), 0);
}

}  // namespace
}  // namespace predictd
