package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;

/** Zeroed memory as processes share it: a mapped memfd. */
final class SharedMemory implements AutoCloseable {
  private final int fd;
  private final Mapping mapping;

  SharedMemory(final long lengthBytes) {
    fd = Memfd.create("benchmark", lengthBytes);
    mapping = Mapping.map(fd, 0, lengthBytes);
  }

  long address() {
    return mapping.address();
  }

  int fd() {
    return fd;
  }

  @Override
  public void close() {
    mapping.close();
    Fds.close(fd);
  }
}
