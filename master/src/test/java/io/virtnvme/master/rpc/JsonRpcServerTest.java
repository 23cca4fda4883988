package io.virtnvme.master.rpc;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
final class JsonRpcServerTest {
  @TempDir Path directory;

  private final List<CompletableFuture<JsonNode>> later = new ArrayList<>();
  private Path socketPath;
  private JsonRpcServer server;

  @BeforeEach
  void start() throws IOException {
    socketPath = directory.resolve("r.sock");
    server = JsonRpcServer.start(socketPath, methods());
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private RpcMethods methods() {
    final RpcMethods methods = new RpcMethods("1.2.3-x");
    methods.add(
        "echo",
        List.of("value"),
        p -> RpcMethods.answer(TextNode.valueOf(p.requireString("value"))));
    methods.add(
        "big",
        List.of("length"),
        p -> RpcMethods.answer(TextNode.valueOf("x".repeat(p.requireInt("length", 0, 1 << 30)))));
    methods.add(
        "later",
        List.of(),
        p -> {
          final CompletableFuture<JsonNode> future = new CompletableFuture<>();
          synchronized (later) {
            later.add(future);
          }
          return future;
        });
    methods.add(
        "busy",
        List.of(),
        p -> {
          throw new RpcException(RpcException.EBUSY, "in use by pid 7; stop it");
        });
    methods.add(
        "broken",
        List.of(),
        p -> {
          throw new IllegalStateException("a fault");
        });
    methods.add("stageless", List.of(), p -> null);
    methods.alias("old_echo", "echo");
    methods.addStartupOnly("setting", "too late");
    return methods;
  }

  private int laterCount() {
    synchronized (later) {
      return later.size();
    }
  }

  private void awaitLater(final int count) {
    await()
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .until(() -> laterCount() >= count);
  }

  private static String request(final String id, final String method, final String params) {
    return "{\"jsonrpc\":\"2.0\",\"id\":"
        + id
        + ",\"method\":\""
        + method
        + "\",\"params\":"
        + params
        + "}";
  }

  @Test
  void shouldAnswerRequestsSplitAtAnyByteAndPipelined() throws IOException {
    final String two =
        request("1", "echo", "{\"value\":\"a\"}")
            + request("\"b\"", "echo", "{\"value\":\"\u00e9\"}");
    try (WireClient client = new WireClient(socketPath)) {
      for (final byte b : two.getBytes(StandardCharsets.UTF_8)) {
        client.send(new byte[] {b});
      }
      client.send(two + " \n\t" + two);
      for (int i = 0; i < 3; i++) {
        assertEquals(
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"a\"}", JsonText.line(client.receive()));
        assertEquals(
            "{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"result\":\"\u00e9\"}",
            JsonText.line(client.receive()));
      }
    }
  }

  @Test
  void shouldAnswerWithSpdksErrorCodes() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send("1 ");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
      client.send("{\"id\":1}");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
      client.send("{\"id\":1,\"method\":\"echo\",\"extra\":1}");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
      client.send("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"echo\"}");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
      client.send("{\"id\":[],\"method\":\"echo\"}");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
      client.send("{\"id\":1,\"method\":\"echo\",\"params\":\"x\"}");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
      client.send("{\"id\":1,\"id\":2,\"method\":\"echo\"}");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
      client.send(request("1", "nothing", "{}"));
      assertEquals(RpcException.METHOD_NOT_FOUND, client.receiveErrorCode());
      client.send(request("1", "echo", "{}"));
      assertEquals(RpcException.INVALID_PARAMS, client.receiveErrorCode());
      client.send(request("1", "echo", "[1]"));
      assertEquals(RpcException.INVALID_PARAMS, client.receiveErrorCode());
      client.send(request("1", "setting", "{\"any\":1}"));
      assertEquals(RpcException.INVALID_STATE, client.receiveErrorCode());
      client.send(request("1", "busy", "null"));
      assertEquals(
          "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-16,\"message\":"
              + "\"Device or resource busy: in use by pid 7; stop it\"}}",
          JsonText.line(client.receive()));
    }
    assertEquals(12, server.counters().get("rpc_errors"));
  }

  @Test
  void shouldSurviveFaultsOfHandlers() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send(request("1", "broken", "{}")).send(request("2", "stageless", "{}"));
      assertEquals(RpcException.INTERNAL_ERROR, client.receiveErrorCode());
      assertEquals(RpcException.INTERNAL_ERROR, client.receiveErrorCode());
      client.send(request("3", "echo", "{\"value\":\"on\"}"));
      assertEquals("on", client.receive().path("result").asText());
    }
    assertEquals(2, server.counters().get("rpc_internal_errors"));
  }

  @Test
  void shouldAnswerAParseErrorAndHangUp() throws IOException {
    for (final String garbage :
        List.of("}", "hello", "{\"a\":}", "[".repeat(1000), "\"\\ud800\"")) {
      try (WireClient client = new WireClient(socketPath)) {
        client.send(request("1", "echo", "{\"value\":\"a\"}")).send(garbage);
        assertEquals("a", client.receive().path("result").asText());
        assertEquals(RpcException.PARSE_ERROR, client.receiveErrorCode());
        assertNull(client.receive());
      }
    }
    assertEquals(5, server.counters().get("rpc_malformed_streams"));
  }

  @Test
  void shouldRefuseARequestThatIsTooLong() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send("{\"id\":1,\"method\":\"");
      final byte[] piece = "m".repeat(8192).getBytes(StandardCharsets.UTF_8);
      int sent = 0;
      try {
        while (sent < 1 << 20) {
          client.send(piece);
          sent += piece.length;
        }
      } catch (final IOException e) {
        assertTrue(sent >= 256 * 1024, "hung up after " + sent);
      }
      assertEquals(RpcException.PARSE_ERROR, client.receiveErrorCode());
    }
  }

  @Test
  void shouldAnswerBatchesAsOneArray() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send(
          "["
              + request("1", "echo", "{\"value\":\"a\"}")
              + ",7,{\"method\":\"echo\",\"params\":{\"value\":\"quiet\"}},"
              + request("2", "later", "{}")
              + "]");
      awaitLater(1);
      later.get(0).complete(IntNode.valueOf(5));
      final JsonNode answers = client.receive();
      assertEquals(3, answers.size());
      assertEquals("a", answers.get(0).path("result").asText());
      assertEquals(RpcException.INVALID_REQUEST, answers.get(1).path("error").path("code").asInt());
      assertEquals(5, answers.get(2).path("result").asInt());
      client.send("[]");
      assertEquals(RpcException.INVALID_REQUEST, client.receiveErrorCode());
    }
  }

  @Test
  void shouldNotAnswerNotificationsThatSucceed() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send("{\"method\":\"echo\",\"params\":{\"value\":\"a\"}}");
      client.send("{\"id\":null,\"method\":\"echo\",\"params\":{\"value\":\"a\"}}");
      client.send("[{\"method\":\"echo\",\"params\":{\"value\":\"a\"}}]");
      client.send("{\"method\":\"busy\"}");
      final JsonNode answer = client.receive();
      assertEquals(RpcException.EBUSY, answer.path("error").path("code").asInt());
      assertTrue(answer.path("id").isNull());
    }
  }

  @Test
  void shouldAnswerFromAnotherThreadInTheOrderOfCompletion() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send(request("1", "later", "{}")).send(request("2", "later", "{}"));
      awaitLater(2);
      later.get(1).complete(IntNode.valueOf(22));
      assertEquals(2, client.receive().path("id").asInt());
      later.get(0).completeExceptionally(new RpcException(RpcException.EEXIST, "taken"));
      assertEquals(RpcException.EEXIST, client.receiveErrorCode());
    }
  }

  @Test
  void shouldAnswerWhatIsUnderWayAfterTheClientHasEndedItsOutput() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send(request("1", "later", "{}")).endOfOutput();
      awaitLater(1);
      later.get(0).complete(IntNode.valueOf(1));
      assertEquals(1, client.receive().path("result").asInt());
      assertNull(client.receive());
    }
  }

  @Test
  void shouldForgetCallsOfClientsThatAreGone() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send(request("1", "later", "{}"));
      awaitLater(1);
    }
    later.get(0).complete(IntNode.valueOf(1));
    try (WireClient client = new WireClient(socketPath)) {
      client.send(request("1", "echo", "{\"value\":\"a\"}"));
      assertEquals("a", client.receive().path("result").asText());
    }
  }

  @Test
  void shouldStopReadingAClientThatDoesNotTakeItsAnswers() throws IOException {
    final byte[] flood =
        request("1", "big", "{\"length\":100000}").repeat(100).getBytes(StandardCharsets.UTF_8);
    try (WireClient flooder = new WireClient(socketPath);
        WireClient other = new WireClient(socketPath)) {
      int taken = 0;
      int misses = 0;
      while (misses < 20 && taken < 100_000_000) {
        final int sent = flooder.sendSome(flood);
        taken += sent;
        misses = sent == 0 ? misses + 1 : 0;
        other.send(request("1", "echo", "{\"value\":\"a\"}"));
        assertEquals("a", other.receive().path("result").asText());
      }
      assertTrue(taken < 4_000_000, "the server took " + taken + " bytes of requests");
      assertEquals(100_000, flooder.receive().path("result").asText().length());
    }
  }

  @Test
  void shouldBoundCallsUnderWayPerClient() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send(request("1", "later", "{}").repeat(100));
      awaitLater(32);
      try (WireClient other = new WireClient(socketPath)) {
        other.send(request("1", "echo", "{\"value\":\"a\"}"));
        assertEquals("a", other.receive().path("result").asText());
      }
      assertEquals(32, laterCount());
      for (int i = 0; i < 100; i++) {
        awaitLater(i + 1);
        later.get(i).complete(IntNode.valueOf(i));
        assertEquals(i, client.receive().path("result").asInt());
      }
    }
  }

  @Test
  void shouldReplaceAnAnswerThatIsTooLong() throws IOException {
    try (WireClient client = new WireClient(socketPath)) {
      client.send(request("9", "big", "{\"length\":17000000}"));
      final JsonNode answer = client.receive();
      assertEquals(9, answer.path("id").asInt());
      assertEquals(RpcException.INTERNAL_ERROR, answer.path("error").path("code").asInt());
      client.send(request("9", "big", "{\"length\":16000000}"));
      assertEquals(16_000_000, client.receive().path("result").asText().length());
    }
  }

  @Test
  void shouldLetFurtherClientsWaitUntilOneLeaves() throws IOException {
    final List<WireClient> clients = new ArrayList<>();
    try {
      for (int i = 0; i < JsonRpcServer.CONNECTIONS_MAX; i++) {
        final WireClient client = new WireClient(socketPath);
        clients.add(client);
        client.send(request("1", "echo", "{\"value\":\"a\"}"));
        assertEquals("a", client.receive().path("result").asText());
      }
      try (WireClient waiting = new WireClient(socketPath)) {
        waiting.send(request("1", "echo", "{\"value\":\"a\"}"));
        assertEquals((long) JsonRpcServer.CONNECTIONS_MAX, server.counters().get("rpc_requests"));
        clients.remove(0).close();
        assertEquals("a", waiting.receive().path("result").asText());
      }
    } finally {
      for (final WireClient client : clients) {
        client.close();
      }
    }
  }

  @Test
  void shouldListMethodsAndVersion() throws IOException {
    try (RpcClient client = RpcClient.connect(socketPath, Duration.ofSeconds(5))) {
      final String all = JsonText.line(client.call("rpc_get_methods", null));
      assertTrue(all.contains("\"setting\"") && !all.contains("old_echo"), all);
      final String callable =
          JsonText.line(
              client.call(
                  "rpc_get_methods",
                  JsonText.parse("{\"current\":true,\"include_aliases\":true}")));
      assertTrue(!callable.contains("\"setting\"") && callable.contains("old_echo"), callable);
      assertEquals(
          "{\"version\":\"virtnvme v1.2.3-x\",\"fields\":{\"major\":1,\"minor\":2,\"patch\":3,\"suffix\":\"-x\"}}",
          JsonText.line(client.call("spdk_get_version", null)));
      assertEquals("z", client.call("old_echo", JsonText.parse("{\"value\":\"z\"}")).asText());
    }
  }

  @Test
  void shouldTellClientsOfErrorsAndTimeouts() throws IOException {
    try (RpcClient client = RpcClient.connect(socketPath, Duration.ofMillis(200))) {
      final RpcException failure =
          assertThrows(RpcException.class, () -> client.call("busy", null));
      assertEquals(RpcException.EBUSY, failure.code());
      assertTrue(
          assertThrows(IOException.class, () -> client.call("later", null))
              .getMessage()
              .contains("200 ms"));
    }
    assertTrue(
        assertThrows(
                IOException.class,
                () -> RpcClient.connect(directory.resolve("none"), Duration.ofSeconds(1)))
            .getMessage()
            .contains("is it running?"));
  }

  @Test
  void shouldMakeASocketForTheOwnerOnlyAndRemoveIt() throws IOException {
    assertEquals(
        "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(socketPath)));
    server.close();
    assertFalse(Files.exists(socketPath));
    try (var files = Files.list(directory)) {
      assertEquals(0, files.count());
    }
  }

  @Test
  void shouldRefuseAPathOnWhichAProcessAnswers() {
    final IOException failure =
        assertThrows(IOException.class, () -> JsonRpcServer.start(socketPath, methods()));
    assertTrue(failure.getMessage().contains("another process answers"), failure.getMessage());
    assertTrue(Files.exists(socketPath));
  }

  @Test
  void shouldReplaceAStaleSocketAndLeaveASuccessors() throws IOException {
    final Path stale = directory.resolve("stale");
    try (ServerSocketChannel dead = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      dead.bind(UnixDomainSocketAddress.of(stale));
    }
    final JsonRpcServer replaced = JsonRpcServer.start(stale, methods());
    Files.delete(stale);
    try (JsonRpcServer successor = JsonRpcServer.start(stale, methods())) {
      replaced.close();
      assertTrue(Files.exists(stale));
      assertEquals(0, successor.counters().get("rpc_connections"));
    }
  }

  @Test
  void shouldRefuseToReplaceAFileOrUseALongPath() throws IOException {
    final Path file = Files.writeString(directory.resolve("file"), "precious");
    assertTrue(
        assertThrows(IOException.class, () -> JsonRpcServer.start(file, methods()))
            .getMessage()
            .contains("is no socket"));
    assertEquals("precious", Files.readString(file));
    final Path longPath = directory.resolve("x".repeat(100));
    assertTrue(
        assertThrows(IOException.class, () -> JsonRpcServer.start(longPath, methods()))
            .getMessage()
            .contains("shorter"));
  }
}
