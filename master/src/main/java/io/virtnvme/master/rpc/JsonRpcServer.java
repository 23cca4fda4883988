package io.virtnvme.master.rpc;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * JSON-RPC 2.0 on a Unix stream socket as SPDK speaks it: JSON values one after another, no
 * framing, answers followed by a line feed, several requests per connection and several under way
 * at once.
 *
 * <p>One daemon thread serves every client and calls the handlers. At most {@value
 * #CONNECTIONS_MAX} clients; when a further one comes, the one idle for longest (and for at least
 * ten seconds) makes room, else it waits. Limits per client: 256 KiB and 8192 values per request,
 * 64 levels, 32 calls under way, 16 MiB per answer; a client that takes no output for 30 s is let
 * go.
 */
public final class JsonRpcServer implements AutoCloseable {
  /** Clients served at once; SPDK's number. */
  public static final int CONNECTIONS_MAX = 64;

  private static final Logger LOG = LoggerFactory.getLogger(JsonRpcServer.class);
  private static final int BACKLOG = 64;
  private static final int SOCKET_PATH_LENGTH_MAX = 107;
  private static final int ANSWER_LENGTH_MAX = 16 * 1024 * 1024;
  private static final long SWEEP_MS = 1000;
  private static final long EVICTABLE_IDLE_NS = 10_000_000_000L;
  private static final long CLOSE_TIMEOUT_MS = 5000;

  private record Answer(RpcConnection connection, ByteBuffer bytes) {}

  private final Path socketPath;
  private final Object socketKey;
  private final ServerSocketChannel listener;
  private final Selector selector;
  private final SelectionKey listenerKey;
  private final RequestDispatcher dispatcher;
  private final Queue<Answer> answers = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean closing = new AtomicBoolean();
  private final List<RpcConnection> connections = new ArrayList<>();
  private final Thread thread;
  private RpcConnection handling;
  private long acceptAgainNs;
  private final AtomicLong accepted = new AtomicLong();
  private final AtomicLong malformed = new AtomicLong();
  private final AtomicLong letGo = new AtomicLong();

  private JsonRpcServer(
      final Path socketPath, final ServerSocketChannel listener, final RpcMethods methods)
      throws IOException {
    this.socketPath = socketPath;
    this.listener = listener;
    socketKey = fileKey(socketPath);
    dispatcher = new RequestDispatcher(methods);
    selector = Selector.open();
    listener.configureBlocking(false);
    listenerKey = listener.register(selector, SelectionKey.OP_ACCEPT);
    thread = new Thread(this::run, "rpc");
    thread.setDaemon(true);
  }

  /**
   * Binds and starts to serve. The socket appears under its name only when it can be connected to,
   * readable and writable by the owner only.
   *
   * @param socketPath at most 107 bytes; a socket left there by a dead process is replaced
   * @param methods not changed any more from now on
   * @throws IOException when a living process answers on the path, something other than a socket is
   *     there, or it cannot be made; the message says what to do
   */
  public static JsonRpcServer start(final Path socketPath, final RpcMethods methods)
      throws IOException {
    final Path path = socketPath.toAbsolutePath();
    final Path fresh = path.resolveSibling("." + path.getFileName() + ".new");
    if (fresh.toString().getBytes(StandardCharsets.UTF_8).length > SOCKET_PATH_LENGTH_MAX) {
      throw new IOException(
          "socket path too long: " + path + "; use a run directory with a shorter name");
    }
    refuseIfAlive(path);
    Files.deleteIfExists(fresh);
    final ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      listener.bind(UnixDomainSocketAddress.of(fresh), BACKLOG);
      Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-------"));
      Files.move(fresh, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      final JsonRpcServer server = new JsonRpcServer(path, listener, methods);
      server.thread.start();
      return server;
    } catch (final IOException e) {
      listener.close();
      Files.deleteIfExists(fresh);
      throw e;
    }
  }

  private static void refuseIfAlive(final Path path) throws IOException {
    final BasicFileAttributes attributes;
    try {
      attributes = Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    } catch (final NoSuchFileException e) {
      return;
    }
    if (!attributes.isOther()) {
      throw new IOException(path + " exists and is no socket; move it away");
    }
    try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      probe.configureBlocking(false);
      probe.connect(UnixDomainSocketAddress.of(path));
    } catch (final ConnectException e) {
      LOG.info("replacing {}: nobody answers on it", path);
      return;
    } catch (final IOException e) {
      throw new IOException("cannot tell whether " + path + " is in use: " + e.getMessage(), e);
    }
    throw new IOException(
        "another process answers on " + path + "; stop it or use another run directory");
  }

  private static Object fileKey(final Path path) throws IOException {
    return Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
        .fileKey();
  }

  /** Counters by name; any thread. */
  public Map<String, Long> counters() {
    final Map<String, Long> counters = new LinkedHashMap<>();
    counters.put("rpc_connections", accepted.get());
    counters.put("rpc_connections_let_go", letGo.get());
    counters.put("rpc_malformed_streams", malformed.get());
    counters.put("rpc_requests", dispatcher.requests());
    counters.put("rpc_errors", dispatcher.errors());
    counters.put("rpc_internal_errors", dispatcher.internalErrors());
    return counters;
  }

  /** Stops serving, hangs up and removes the socket unless a successor has replaced it. */
  @Override
  public void close() {
    if (!closing.compareAndSet(false, true)) {
      return;
    }
    selector.wakeup();
    if (Thread.currentThread() != thread) {
      try {
        thread.join(CLOSE_TIMEOUT_MS);
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Called exactly once per request, on any thread. */
  void onAnswer(final RpcConnection connection, final JsonNode answer) {
    final ByteBuffer bytes = answer == null ? null : encode(answer);
    if (Thread.currentThread() == thread && handling == connection) {
      connection.onAnswerWithin(bytes);
    } else {
      answers.add(new Answer(connection, bytes));
      selector.wakeup();
    }
  }

  void onMalformed() {
    malformed.incrementAndGet();
  }

  /** The answer as bytes, or an error in its place when it cannot be sent. */
  static ByteBuffer encode(final JsonNode answer) {
    try {
      final byte[] text = JsonText.bytes(answer);
      if (text.length <= ANSWER_LENGTH_MAX) {
        final byte[] line = Arrays.copyOf(text, text.length + 1);
        line[text.length] = '\n';
        return ByteBuffer.wrap(line);
      }
      return unsendable(
          answer,
          "the answer has "
              + text.length
              + " bytes, more than "
              + ANSWER_LENGTH_MAX
              + "; ask for one object by name");
    } catch (final UncheckedIOException e) {
      LOG.error("an answer that is no JSON", e);
      return unsendable(answer, "the answer is no JSON; the master's log has the details");
    }
  }

  private static ByteBuffer unsendable(final JsonNode answer, final String message) {
    final JsonNode id = answer.path("id");
    final ObjectNode substitute = JsonNodeFactory.instance.objectNode();
    substitute.put("jsonrpc", "2.0");
    substitute.set("id", id.isMissingNode() ? NullNode.getInstance() : id);
    substitute.putObject("error").put("code", RpcException.INTERNAL_ERROR).put("message", message);
    return encode(substitute);
  }

  private void run() {
    try {
      while (!closing.get()) {
        final boolean hasTimers = !connections.isEmpty() || listenerKey.interestOps() == 0;
        selector.select(hasTimers ? SWEEP_MS : 0);
        final long nowNs = System.nanoTime();
        for (final SelectionKey key : selector.selectedKeys()) {
          onKey(key, nowNs);
        }
        selector.selectedKeys().clear();
        deliverAnswers(nowNs);
        sweep(nowNs);
      }
    } catch (final IOException | RuntimeException e) {
      LOG.error("the RPC server stops: restart the master to get it back", e);
    } finally {
      shutDown();
    }
  }

  private void onKey(final SelectionKey key, final long nowNs) {
    if (!key.isValid()) {
      return;
    }
    if (key == listenerKey) {
      accept(nowNs);
      return;
    }
    final RpcConnection connection = (RpcConnection) key.attachment();
    handling = connection;
    try {
      connection.onReady(nowNs);
    } catch (final IOException e) {
      LOG.debug("RPC client gone: {}", e.getMessage());
      drop(connection);
    } finally {
      handling = null;
    }
  }

  private void deliverAnswers(final long nowNs) {
    for (Answer answer = answers.poll(); answer != null; answer = answers.poll()) {
      final RpcConnection connection = answer.connection;
      if (!connections.contains(connection)) {
        continue;
      }
      handling = connection;
      try {
        connection.onAnswer(answer.bytes, nowNs);
      } catch (final IOException e) {
        LOG.debug("RPC client gone: {}", e.getMessage());
        drop(connection);
      } finally {
        handling = null;
      }
    }
  }

  private void accept(final long nowNs) {
    if (connections.size() >= CONNECTIONS_MAX && !makeRoom(nowNs)) {
      pauseAccepting(nowNs);
      return;
    }
    try {
      final SocketChannel channel = listener.accept();
      if (channel == null) {
        return;
      }
      channel.configureBlocking(false);
      final SelectionKey key = channel.register(selector, SelectionKey.OP_READ);
      final RpcConnection connection = new RpcConnection(channel, key, dispatcher, this, nowNs);
      key.attach(connection);
      connections.add(connection);
      accepted.incrementAndGet();
    } catch (final IOException e) {
      LOG.warn("cannot accept an RPC client, trying again in a second: {}", e.getMessage());
      pauseAccepting(nowNs);
    }
  }

  private void pauseAccepting(final long nowNs) {
    listenerKey.interestOps(0);
    acceptAgainNs = nowNs + SWEEP_MS * 1_000_000;
  }

  private boolean makeRoom(final long nowNs) {
    RpcConnection idlest = null;
    for (final RpcConnection connection : connections) {
      if (idlest == null || connection.idleNs(nowNs) > idlest.idleNs(nowNs)) {
        idlest = connection;
      }
    }
    if (idlest == null || idlest.idleNs(nowNs) < EVICTABLE_IDLE_NS) {
      return false;
    }
    letGo.incrementAndGet();
    drop(idlest);
    return true;
  }

  private void sweep(final long nowNs) {
    for (int i = connections.size() - 1; i >= 0; i--) {
      final RpcConnection connection = connections.get(i);
      if (connection.isDone()) {
        drop(connection);
      } else if (connection.isStuck(nowNs)) {
        letGo.incrementAndGet();
        LOG.warn("hanging up on an RPC client that does not read its answers");
        drop(connection);
      }
    }
    if (listenerKey.interestOps() == 0 && nowNs - acceptAgainNs >= 0) {
      listenerKey.interestOps(SelectionKey.OP_ACCEPT);
    }
  }

  private void drop(final RpcConnection connection) {
    connections.remove(connection);
    connection.close();
  }

  private void shutDown() {
    for (final RpcConnection connection : connections) {
      connection.close();
    }
    connections.clear();
    try {
      if (socketKey != null && socketKey.equals(fileKey(socketPath))) {
        Files.deleteIfExists(socketPath);
      }
      listener.close();
      selector.close();
    } catch (final IOException e) {
      LOG.debug("closing {}: {}", socketPath, e.getMessage());
    }
  }
}
