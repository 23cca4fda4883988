package io.virtnvme.slave.benchmark;

import io.virtnvme.ipc.relay.RelayChannel;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.relay.RelayReader;
import io.virtnvme.ipc.relay.RelayWriter;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * One message from master to slave: sent and received by one thread, so that nobody has to be woken
 * up.
 */
public class RelayHopBenchmark extends DataPathBenchmark {
  private static final int BODY_BYTES = 256;

  private final byte[] body = new byte[BODY_BYTES];
  private SharedMemory memory;
  private RelayChannel master;
  private RelayChannel slave;
  private long sequence;

  /** Connects the two ends. */
  @Setup
  public void open() throws IOException {
    final Path folder = Files.createTempDirectory("virtnvme-benchmark");
    final Path path = folder.resolve("s");
    final int listener = UnixSocket.listenSeqPacket(path.toString(), 1);
    slave = new RelayChannel(UnixSocket.connectSeqPacket(path.toString()));
    master = new RelayChannel(UnixSocket.accept(listener));
    Fds.close(listener);
    Files.delete(path);
    Files.delete(folder);
    memory = new SharedMemory(BODY_BYTES);
  }

  /** Ends everything. */
  @TearDown
  public void close() {
    master.close();
    slave.close();
    memory.close();
  }

  /** A message alone. */
  @Benchmark
  public byte[] message() {
    begin();
    return send();
  }

  /** With a descriptor, which the receiver closes. */
  @Benchmark
  public byte[] messageWithDescriptor() {
    begin().putFd(memory.fd());
    return send();
  }

  private RelayWriter begin() {
    return master.begin(RelayMessageType.RELAY, 1, ++sequence).putBytes(body);
  }

  private byte[] send() {
    if (!master.send()) {
      throw new IllegalStateException("not sent: sequence=" + sequence);
    }
    final RelayReader reader = slave.receive();
    if (reader.sequence() != sequence) {
      throw new IllegalStateException("received: sequence=" + reader.sequence());
    }
    return reader.getBytes();
  }
}
