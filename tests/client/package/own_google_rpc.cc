// By this a program knows that it has been linked with this library.
bool HasOwnGoogleRpc() {
  return true;
}
