package io.virtnvme.ipc.qpair;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.CompletionEntry;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.UnixSocket;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * A volume as a secondary process has it: attached by {@link #attach}, given back by {@link
 * #close}. Requests go through shared memory; the death of a slave or of the master is a pause and
 * nothing else. One thread; {@link #submit} and {@link #poll} do not allocate.
 *
 * <p>Data lies in the pool, at offsets that the caller chooses; a buffer belongs to the slave from
 * the submission of its request to its completion. Completions come in any order, so requests that
 * overlap are for the caller to put in order.
 */
public final class QpairClient implements AutoCloseable {
  /** Hears of completions. */
  @FunctionalInterface
  public interface Listener {
    /**
     * A request ended. May submit others.
     *
     * @param id as given to {@link #submit}
     * @param errno 0, or why it failed
     */
    void onCompletion(int id, int errno);
  }

  private static final int ID_MAX = 0xFFFF;
  private static final int COMPLETION_TOKEN = 1;
  private static final int SOCKET_TOKEN = 2;
  private static final int REPLY_MS_MAX = 30_000;

  private final int socketFd;
  private final int kickFd;
  private final int callFd;
  private final Mapping mapping;
  private final QpairGeometry geometry;
  private final long segment;
  private final long requests;
  private final long completions;
  private final EventFd kick = new EventFd();
  private final EventFd call = new EventFd();
  private final Epoll epoll = new Epoll(2);
  private final Listener blocking = this::onBlockingEnd;
  private final QpairPool pool;
  private int tail;
  private int head;
  private int phase = 1;
  private int inFlightCount;
  private int blockingResult;
  private boolean closed;

  private QpairClient(
      final int socketFd, final int[] fds, final Mapping mapping, final QpairGeometry geometry) {
    this.socketFd = socketFd;
    this.kickFd = fds[1];
    this.callFd = fds[2];
    this.mapping = mapping;
    this.geometry = geometry;
    this.pool = new QpairPool(geometry.poolLength(), geometry.blockBytes());
    this.segment = mapping.address();
    this.requests = segment + QpairSegment.REQUESTS_OFFSET;
    this.completions = segment + QpairSegment.completionsOffset(geometry.entryCount());
    epoll.add(callFd, Epoll.IN, COMPLETION_TOKEN);
    epoll.add(socketFd, Epoll.RDHUP, SOCKET_TOKEN);
  }

  /**
   * Attaches to a volume.
   *
   * @param socket {@code DIR/virtnvme/NAME} of the pair
   * @param entryCount 2..1024; one less may be in flight
   * @param poolLength bytes of buffers, a multiple of 4096, at most 64 MiB
   * @param writeAccess whether more than reads are wanted
   * @throws QpairException when nobody answers, or the answer is no
   */
  public static QpairClient attach(
      final Path socket, final int entryCount, final long poolLength, final boolean writeAccess) {
    final int fd;
    try {
      fd = UnixSocket.connectStream(socket.toString());
    } catch (final SysException e) {
      throw new QpairException("cannot connect to " + socket + ": " + e.getMessage(), e);
    }
    int[] fds = {};
    Mapping mapping = null;
    try {
      fds = exchange(fd, QpairMessage.attach(entryCount, poolLength, writeAccess));
      mapping = Mapping.map(fds[0], 0, Fds.length(fds[0]));
      final QpairGeometry geometry = QpairSegment.read(mapping.address(), mapping.lengthBytes());
      final QpairClient client = new QpairClient(fd, fds, mapping, geometry);
      Fds.close(fds[0]);
      return client;
    } catch (final QpairException | SysException e) {
      if (mapping != null) {
        mapping.close();
      }
      for (final int received : fds) {
        Fds.close(received);
      }
      Fds.close(fd);
      throw new QpairException("cannot attach to " + socket + ": " + e.getMessage(), e);
    }
  }

  private static int[] exchange(final int fd, final byte[] message) {
    final long buffer = Mem.allocate(QpairMessage.REPLY_LENGTH_MAX);
    try (FdMessage socket = new FdMessage()) {
      Mem.copyIn(message, 0, buffer, message.length);
      // A master that says no may have hung up already: what it said is there nevertheless.
      socket.send(fd, buffer, message.length, new int[0], 0);
      if (!Fds.awaitReadable(fd, REPLY_MS_MAX)) {
        throw new QpairException("no answer: is a slave running?");
      }
      final long length = socket.receive(fd, buffer, QpairMessage.REPLY_LENGTH_MAX, 0);
      if (length <= 0) {
        throw new QpairException(
            length == 0 ? "the master hung up: its log says why" : Errno.text((int) -length));
      }
      final byte[] reply = new byte[(int) length];
      Mem.copyOut(buffer, reply, 0, reply.length);
      final int[] fds = socket.takeFds();
      final String problem = problem(reply, fds.length);
      if (problem != null) {
        for (final int received : fds) {
          Fds.close(received);
        }
        throw new QpairException(problem);
      }
      return fds;
    } finally {
      Mem.free(buffer);
    }
  }

  private static String problem(final byte[] reply, final int fdCount) {
    final String problem = QpairMessage.problem(reply, QpairMessage.HEADER_LENGTH);
    if (problem != null) {
      return problem;
    }
    final int status = LittleEndian.getInt(reply, QpairMessage.STATUS_OFFSET);
    if (status != 0) {
      return QpairMessage.text(reply) + " (" + Errno.text(status) + ")";
    }
    return fdCount == QpairMessage.FD_COUNT ? null : "wrong count of descriptors: " + fdCount;
  }

  /** Lengths of queues, pool and volume, as they were at the attachment. */
  public QpairGeometry geometry() {
    return geometry;
  }

  /** Blocks that the volume has now. */
  public long blockCount() {
    return Mem.getLongAcquire(segment + QpairSegment.BLOCK_COUNT_OFFSET);
  }

  /** Host address of the pool's first byte. */
  public long poolAddress() {
    return segment + QpairSegment.poolOffset(geometry.entryCount());
  }

  /** Lends parts of the pool, to callers that do not divide it themselves. */
  public QpairPool pool() {
    return pool;
  }

  /** Requests submitted whose completion was not polled. */
  public int inFlightCount() {
    return inFlightCount;
  }

  /**
   * Submits a request; the slave sees it at once.
   *
   * @param opcode one of {@link QpairRequest}
   * @param id 0..65535, comes back with the completion
   * @param firstBlock first block, 0 for a flush
   * @param blockCount blocks, 0 for a flush; data of at most {@link QpairRequest#DATA_BYTES_MAX}
   * @param bufferOffset offset in the pool, a multiple of the block length; for data only
   * @return false when as many requests are in flight as the queue holds
   */
  public boolean submit(
      final int opcode,
      final int flags,
      final int id,
      final long firstBlock,
      final int blockCount,
      final long bufferOffset) {
    if (id < 0 || id > ID_MAX || closed) {
      throw new IllegalArgumentException("id=" + id + ", allowed 0..65535; closed=" + closed);
    }
    if (inFlightCount == geometry.entryCount() - 1) {
      return false;
    }
    QpairRequest.put(
        requests + (long) tail * QpairRequest.LENGTH,
        opcode,
        flags,
        id,
        firstBlock,
        blockCount,
        bufferOffset);
    tail = tail + 1 == geometry.entryCount() ? 0 : tail + 1;
    inFlightCount++;
    Mem.putIntRelease(segment + QpairSegment.SQ_TAIL_OFFSET, tail);
    wakeSlave();
    return true;
  }

  private void wakeSlave() {
    Mem.fullFence();
    if (Mem.getInt(segment + QpairSegment.SLAVE_SLEEPS_OFFSET) != 0) {
      kick.signal(kickFd);
    }
  }

  /** Whether there is one to be taken. */
  boolean isCompletionThere() {
    final int dword3 =
        Mem.getIntAcquire(
            completions
                + (long) head * CompletionEntry.ENTRY_LENGTH
                + CompletionEntry.DWORD3_OFFSET);
    return CompletionEntry.phase(dword3) == (phase != 0);
  }

  /**
   * Takes completions that are there.
   *
   * @return how many
   */
  public int poll(final Listener listener, final int limit) {
    int count = 0;
    while (count < limit && isCompletionThere()) {
      final int dword3 =
          Mem.getInt(
              completions
                  + (long) head * CompletionEntry.ENTRY_LENGTH
                  + CompletionEntry.DWORD3_OFFSET);
      head++;
      if (head == geometry.entryCount()) {
        head = 0;
        phase ^= 1;
      }
      inFlightCount--;
      count++;
      Mem.putIntRelease(segment + QpairSegment.CQ_HEAD_OFFSET, head);
      listener.onCompletion(CompletionEntry.commandId(dword3), CompletionEntry.status(dword3));
    }
    if (count > 0) {
      wakeSlave();
    }
    return count;
  }

  /**
   * Sleeps until a completion is there.
   *
   * @param timeoutNs as long as that at most
   * @return whether one is there
   * @throws QpairException when the pair ended the connection: nothing more will complete
   */
  public boolean await(final long timeoutNs) {
    final long endNs = System.nanoTime() + timeoutNs;
    boolean there = isCompletionThere();
    while (!there && endNs - System.nanoTime() > 0) {
      Mem.putIntRelease(segment + QpairSegment.CLIENT_SLEEPS_OFFSET, 1);
      Mem.fullFence();
      if (!isCompletionThere()) {
        sleep(Math.max(1, endNs - System.nanoTime()));
      }
      Mem.putIntRelease(segment + QpairSegment.CLIENT_SLEEPS_OFFSET, 0);
      there = isCompletionThere();
    }
    return there;
  }

  private void sleep(final long timeoutNs) {
    final int readyCount = epoll.awaitNs(timeoutNs);
    for (int i = 0; i < readyCount; i++) {
      if (epoll.token(i) == COMPLETION_TOKEN) {
        call.drain(callFd);
      } else if (!isCompletionThere()) {
        throw new QpairException(
            "the pair ended the connection: the volume's endpoint was deleted, or master and slaves"
                + " are gone");
      }
    }
  }

  /**
   * Runs one request and waits for its end; no other may be in flight.
   *
   * @throws QpairException when it failed, or took longer than the time
   */
  public void run(
      final int opcode,
      final int flags,
      final long firstBlock,
      final int blockCount,
      final long bufferOffset,
      final long timeoutNs) {
    if (inFlightCount != 0) {
      throw new IllegalStateException("other requests are in flight: count=" + inFlightCount);
    }
    submit(opcode, flags, 0, firstBlock, blockCount, bufferOffset);
    if (!await(timeoutNs)) {
      throw new QpairException(
          "no completion within " + TimeUnit.NANOSECONDS.toMillis(timeoutNs) + " ms");
    }
    poll(blocking, 1);
    if (blockingResult != 0) {
      throw new QpairException(
          "request failed: opcode="
              + opcode
              + " first block="
              + firstBlock
              + " blocks="
              + blockCount
              + ": "
              + Errno.text(blockingResult));
    }
  }

  private void onBlockingEnd(final int id, final int errno) {
    blockingResult = errno;
  }

  /** False when the pair ended the connection. A system call. */
  public boolean isConnected() {
    // Nothing is ever sent after the answer: what can be read is the end.
    return !Fds.awaitReadable(socketFd, 0);
  }

  /** The master, at the attachment. */
  public int peerPid() {
    return UnixSocket.peerPid(socketFd);
  }

  /** Gives everything back; what is in flight ends without being heard of. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      epoll.close();
      Fds.close(socketFd);
      Fds.close(kickFd);
      Fds.close(callFd);
      mapping.close();
      kick.free();
      call.free();
    }
  }
}
