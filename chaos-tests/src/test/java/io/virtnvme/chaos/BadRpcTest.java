package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Wrong calls to a real pair: SPDK's code, a sentence that says what to do, and nothing changed.
 */
@Tag("once")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BadRpcTest {
  private static final int FILE_LENGTH = 1 << 20;

  private Pair pair;
  private int slave;
  private JsonNode bdevsBefore;

  @BeforeAll
  void start() {
    pair = Pair.start(PairOptions.ofFirstCompiler().withStandbys(0));
    pair.createMemDisk("disk", 256);
    pair.createController("vm", "disk", false);
    slave = pair.activePid();
    bdevsBefore = pair.call("bdev_get_bdevs");
  }

  @AfterAll
  void end() {
    pair.close();
  }

  @AfterEach
  void nothingChanged() {
    assertTrue(pair.isMasterAlive());
    assertEquals(slave, pair.activePid());
    assertEquals(bdevsBefore, pair.call("bdev_get_bdevs"));
    assertEquals(1, pair.call("vhost_get_controllers").size());
  }

  private void assertRefused(
      final int code, final String words, final String method, final ObjectNode params) {
    final RpcException e = assertThrows(RpcException.class, () -> pair.call(method, params));
    assertEquals(code, e.code(), e.getMessage());
    assertTrue(e.getMessage().contains(words), e.getMessage());
  }

  private Path file(final String name, final int length) {
    final Path file = pair.path().resolve(name);
    if (!Files.exists(file)) {
      Pair.createFile(file, length);
    }
    return file;
  }

  private void assertUringRefused(final int code, final String words, final Path file) {
    assertRefused(
        code,
        words,
        "bdev_uring_create",
        Json.of("name", "u", "filename", file.toString(), "block_size", 4096));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "hello | -32700",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":} | -32700",
        "] | -32700",
        "17 | -32600",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"bdev_get_bdevs\"} | -32600",
        "{\"jsonrpc\":\"2.0\",\"id\":1} | -32600",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no_such_method\"} | -32601",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"bdev_get_bdevs\",\"params\":[1]} | -32602"
      })
  void shouldAnswerWhatIsNoRequestWithItsCode(final String text, final int code)
      throws IOException {
    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      channel.connect(UnixDomainSocketAddress.of(pair.path().resolve("rpc.sock")));
      channel.write(ByteBuffer.wrap((text + "\n").getBytes(StandardCharsets.UTF_8)));
      final ByteBuffer answer = ByteBuffer.allocate(65536);
      do {
        assertTrue(channel.read(answer) > 0, "an answer");
      } while (answer.get(answer.position() - 1) != '\n');
      final JsonNode error =
          new ObjectMapper().readTree(answer.array(), 0, answer.position()).path("error");
      assertEquals(code, error.path("code").asInt(), error::toString);
    }
  }

  @Test
  void shouldRefuseParametersThatMakeNoSense() {
    assertRefused(-32602, "num_blocks", "bdev_malloc_create", Json.of("block_size", 4096));
    assertRefused(
        -32602, "block_size", "bdev_malloc_create", Json.of("block_size", "x", "num_blocks", 8));
    assertRefused(
        -32602, "block_size", "bdev_malloc_create", Json.of("block_size", 1000, "num_blocks", 8));
    assertRefused(
        -32602, "num_blocks", "bdev_malloc_create", Json.of("block_size", 512, "num_blocks", -1));
    assertRefused(
        -32602,
        "colour",
        "bdev_malloc_create",
        Json.of("block_size", 512, "num_blocks", 8, "colour", "red"));
    assertRefused(
        -32602,
        "name",
        "bdev_malloc_create",
        Json.of("name", "../x", "block_size", 512, "num_blocks", 8));
  }

  @Test
  void shouldRefuseNamesThatExistOrDoNot() {
    assertRefused(
        -17,
        "disk",
        "bdev_malloc_create",
        Json.of("name", "disk", "block_size", 4096, "num_blocks", 8));
    assertRefused(
        -32602, "vm", "vhost_create_blk_controller", Json.of("ctrlr", "vm", "dev_name", "disk"));
    assertRefused(-19, "nothing", "bdev_malloc_delete", Json.of("name", "nothing"));
    assertRefused(-19, "nothing", "bdev_get_bdevs", Json.of("name", "nothing"));
    assertRefused(
        -32602,
        "nothing",
        "vhost_create_blk_controller",
        Json.of("ctrlr", "other", "dev_name", "nothing"));
    assertRefused(-32602, "nothing", "vhost_delete_controller", Json.of("ctrlr", "nothing"));
    assertRefused(
        -16, "delete the controller first", "bdev_malloc_delete", Json.of("name", "disk"));
  }

  @Test
  void shouldRefuseFilesThatCannotServe() throws IOException {
    assertUringRefused(-2, "create it", pair.path().resolve("missing.img"));
    assertUringRefused(-22, "4096", file("odd.img", FILE_LENGTH + 512));
    assertUringRefused(-22, "neither a file nor a block device", Path.of("/dev/null"));
    assertUringRefused(-22, "neither a file nor a block device", pair.path());
    final Path tooLong = pair.path().resolve("x".repeat(200)).resolve("y".repeat(200));
    assertUringRefused(-2, "", tooLong);
  }

  /** root may write any file; of one on a read-only file system nobody may. */
  @Test
  void shouldRefuseAReadOnlyFileUnlessTheDiskIsReadOnly() throws Exception {
    final Path folder = Files.createDirectory(pair.path().resolve("ro"));
    final Path file = folder.resolve("ro.img");
    Pair.createFile(file, FILE_LENGTH);
    final boolean asRoot = Files.getAttribute(file, "unix:uid").equals(0);
    if (asRoot) {
      if (!run("mount", "--bind", folder.toString(), folder.toString())) {
        return;
      }
      assertTrue(run("mount", "-o", "remount,ro,bind", folder.toString()));
    } else {
      Files.setPosixFilePermissions(
          file, java.nio.file.attribute.PosixFilePermissions.fromString("r--r--r--"));
    }
    try {
      assertUringRefused(asRoot ? -30 : -13, "read-only", file);
      assertEquals(
          "u",
          pair.call(
                  "bdev_uring_create",
                  Json.of("name", "u", "filename", file.toString(), "readonly", true))
              .asText());
      pair.call("bdev_uring_delete", Json.of("name", "u"));
    } finally {
      if (asRoot) {
        assertTrue(run("umount", folder.toString()));
      }
    }
  }

  private static boolean run(final String... command) throws Exception {
    return new ProcessBuilder(command).inheritIO().start().waitFor() == 0;
  }

  @Test
  void shouldNameTheProcessThatHoldsTheFile() throws IOException {
    final Path file = file("locked.img", FILE_LENGTH);
    final int fd = Fds.open(file.toString(), Fds.O_RDWR, 0);
    try {
      assertTrue(Fds.tryLock(fd));
      assertUringRefused(-16, "process " + ProcessHandle.current().pid() + " (java)", file);
    } finally {
      Fds.close(fd);
    }
    pair.call("bdev_uring_create", Json.of("name", "u", "filename", file.toString()));
    try {
      assertRefused(
          -16, "", "bdev_uring_create", Json.of("name", "u2", "filename", file.toString()));
    } finally {
      pair.call("bdev_uring_delete", Json.of("name", "u"));
    }
  }

  @Test
  void shouldRefuseADiskLargerThanTheMemoryOfTheHost() throws IOException {
    final long blocks = Files.getFileStore(Path.of("/dev/shm")).getTotalSpace() / 4096 + 1;
    assertRefused(
        -28,
        "make it smaller or /dev/shm larger",
        "bdev_malloc_create",
        Json.of("name", "huge", "block_size", 4096, "num_blocks", blocks));
    assertRefused(-28, "", "virtnvme_bdev_resize", Json.of("name", "disk", "num_blocks", blocks));
  }
}
