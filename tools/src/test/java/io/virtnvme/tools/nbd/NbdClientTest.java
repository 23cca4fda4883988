package io.virtnvme.tools.nbd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A client against a server that works, and against everything else that a server may say. */
@Timeout(60)
class NbdClientTest {
  private static final int LENGTH = 1 << 20;
  private static final int CONNECT_MS = 5000;
  private static final int SILENCE_MS = 300;
  private static final int FLAGS = 0x1 | 0x4 | 0x40;

  @TempDir private Path folder;

  private final List<Integer> log = Collections.synchronizedList(new java.util.ArrayList<>());

  private static NbdClient connect(final ScriptedServer server) throws IOException {
    return NbdClient.connect(server.address(), CONNECT_MS, SILENCE_MS);
  }

  private void assertWorks(final int flags, final int payloadBytesMax) throws IOException {
    log.clear();
    final byte[] disk = new byte[LENGTH];
    final byte[] wanted = new byte[LENGTH];
    final SplittableRandom random = new SplittableRandom(payloadBytesMax);
    random.nextBytes(disk);
    random.nextBytes(wanted);
    try (ScriptedServer server =
            new ScriptedServer(folder, ScriptedServer.sound(disk, flags, payloadBytesMax, log));
        NbdClient client = connect(server)) {
      assertEquals(LENGTH, client.lengthBytes());
      assertEquals(512, client.blockBytes());
      for (int offset = 0; offset < LENGTH; offset += 1 << 16) {
        client.write(offset, wanted, offset, 1 << 16);
      }
      Arrays.fill(wanted, 4096, 300 << 10, (byte) 0);
      client.zero(4096, (300 << 10) - 4096);
      // Over what is in flight: it must not be taken before it.
      for (int times = 0; times < 50; times++) {
        wanted[LENGTH - 512] = (byte) times;
        client.write(LENGTH - 512, wanted, LENGTH - 512, 512);
      }
      client.flush();
      assertArrayEquals(wanted, disk);
      final byte[] read = new byte[LENGTH];
      client.read(0, read, LENGTH);
      assertArrayEquals(wanted, read);
    }
    assertEquals((flags & 0x40) != 0, log.contains(NbdProtocol.COMMAND_WRITE_ZEROES));
    assertEquals((flags & 0x4) != 0, log.contains(NbdProtocol.COMMAND_FLUSH));
    java.nio.file.Files.deleteIfExists(folder.resolve("nbd"));
  }

  @Test
  void shouldWriteZeroFlushAndReadInPartsThatTheServerTakes() throws IOException {
    assertWorks(FLAGS, 32 << 20);
    assertWorks(FLAGS, 8192);
    assertWorks(0x1, 1 << 16);
  }

  private void assertRefused(final String what, final ScriptedServer.Script script)
      throws IOException {
    assertFails(what, script, client -> {});
  }

  private interface Use {
    void with(NbdClient client) throws IOException;
  }

  private void assertFails(final String what, final ScriptedServer.Script script, final Use use)
      throws IOException {
    try (ScriptedServer server = new ScriptedServer(folder, script)) {
      final IOException failure =
          assertThrows(
              IOException.class,
              () -> {
                try (NbdClient client = connect(server)) {
                  use.with(client);
                }
              });
      assertTrue(failure.getMessage().contains(what), failure.getMessage());
    }
    java.nio.file.Files.deleteIfExists(folder.resolve("nbd"));
  }

  @Test
  void shouldSayWhyAServerIsNone() throws IOException {
    assertRefused("no NBD server", (in, out) -> out.write(new byte[18]));
    assertRefused(
        "no NBD server",
        (in, out) -> {
          out.writeLong(NbdProtocol.INIT_MAGIC);
          out.writeLong(0x00420281861253L);
          out.write(new byte[136]);
        });
    assertRefused("hung up", (in, out) -> out.writeLong(NbdProtocol.INIT_MAGIC));
    assertRefused("nothing moved", (in, out) -> in.read());
    assertAnswerRefused(
        "no export 'disk' (not ?here)",
        NbdProtocol.REPLY_UNKNOWN,
        "not \u001bhere".getBytes(StandardCharsets.UTF_8));
    assertAnswerRefused("wants TLS", NbdProtocol.REPLY_TLS_REQUIRED, new byte[0]);
    assertAnswerRefused("NBD_OPT_GO", NbdProtocol.REPLY_UNSUPPORTED, new byte[0]);
    assertAnswerRefused("error 0x80000002", 0x80000002, new byte[0]);
    assertAnswerRefused("does not say how long", NbdProtocol.REPLY_ACK, new byte[0]);
    assertAnswerRefused("no export: length=-1", 3, ScriptedServer.exportInfo(-1, FLAGS));
    assertAnswerRefused("no export: length=5", 3, ScriptedServer.exportInfo(5, 0));
    for (final int bad : new int[] {0, -1, 3, 1 << 17}) {
      assertAnswerRefused("no block sizes", 3, ScriptedServer.blockSizeInfo(bad, 1 << 20));
    }
    assertAnswerRefused("no block sizes", 3, ScriptedServer.blockSizeInfo(512, 256));
    assertAnswerRefused("no answer to an option", 3, new byte[(1 << 16) + 1]);
    assertRefused(
        "does not end",
        (in, out) -> {
          ScriptedServer.greet(in, out);
          for (int i = 0; i < 100; i++) {
            ScriptedServer.answer(out, NbdProtocol.REPLY_INFO, new byte[] {0, 9});
          }
        });
    final NbdAddress nowhere =
        new NbdAddress(UnixDomainSocketAddress.of(folder.resolve("nobody")), "");
    assertThrows(IOException.class, () -> NbdClient.connect(nowhere, CONNECT_MS, SILENCE_MS));
  }

  private void assertAnswerRefused(final String what, final int type, final byte[] data)
      throws IOException {
    assertRefused(
        what,
        (in, out) -> {
          ScriptedServer.greet(in, out);
          ScriptedServer.answer(out, type, data);
          in.read();
        });
  }

  private void assertWriteFails(final String what, final int error, final long cookie)
      throws IOException {
    assertFails(
        what,
        (in, out) -> {
          ScriptedServer.accept(in, out, LENGTH, FLAGS, 1, 1 << 20);
          final ScriptedServer.Request request = ScriptedServer.readRequest(in);
          in.readNBytes(request.length());
          ScriptedServer.reply(out, error, cookie < 0 ? request.cookie() : cookie);
          out.flush();
          in.read();
        },
        client -> {
          client.write(4096, new byte[512], 0, 512);
          client.drain();
        });
  }

  @Test
  void shouldEndWhenARequestFailsOrItsReplyMakesNoSense() throws IOException {
    assertWriteFails("offset=4096 length=512: ENOSPC", 28, -1);
    assertWriteFails("no reply to anything", 0, 0);
    assertWriteFails("no reply to anything", 0, 7);
    assertWriteFails("no reply to anything", 0, Long.MAX_VALUE);
    assertFails(
        "hung up",
        (in, out) -> {
          ScriptedServer.accept(in, out, LENGTH, FLAGS, 1, 1 << 20);
          in.readNBytes(ScriptedServer.readRequest(in).length());
        },
        client -> {
          client.write(0, new byte[512], 0, 512);
          client.drain();
        });
  }

  @Test
  void shouldNotWaitForEverForAServerThatTakesOrSaysNothing() throws IOException {
    // It hangs up when the client has given up, or else so late that the client says something
    // else.
    final Semaphore givenUp = new Semaphore(0);
    final ScriptedServer.Script mute =
        (in, out) -> {
          ScriptedServer.accept(in, out, 1 << 30, FLAGS, 1, 1 << 25);
          try {
            givenUp.tryAcquire(10 * SILENCE_MS, TimeUnit.MILLISECONDS);
          } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        };
    assertFails(
        "nothing moved",
        mute,
        client -> {
          client.write(0, new byte[512], 0, 512);
          client.drain();
        });
    givenUp.release();
    assertFails("nothing moved", mute, client -> client.write(0, new byte[1 << 25], 0, 1 << 25));
    givenUp.release();
  }

  @Test
  void shouldReadAddressesAsOtherClientsDo() {
    assertEquals(
        new NbdAddress(InetSocketAddress.createUnresolved("h", 10809), "a b"),
        NbdAddress.parse("nbd://h/a%20b"));
    assertEquals(
        new NbdAddress(InetSocketAddress.createUnresolved("h", 5), "/x"),
        NbdAddress.parse("nbd://h:5//x"));
    assertEquals("", NbdAddress.parse("nbd://h").export());
    assertEquals(
        new NbdAddress(UnixDomainSocketAddress.of("/run/a+b c"), "disk"),
        NbdAddress.parse("nbd+unix:///disk?socket=/run/a+b%20c"));
    for (final String bad :
        List.of(
            "nbds://h/x",
            "nbd:///x",
            "nbd://h:0/x",
            "nbd://h:70000/x",
            "nbd://h/x?socket=/s",
            "nbd+unix:///x",
            "nbd+unix:///x?socket=/s&tls=1",
            "nbd://h/%00",
            "nbd://h/" + "x".repeat(4097),
            "nbd://h /x")) {
      assertThrows(IllegalArgumentException.class, () -> NbdAddress.parse(bad), bad);
      assertTrue(NbdAddress.isMeant(bad), bad);
    }
    assertFalse(NbdAddress.isMeant("nbd:7700"));
    assertFalse(NbdAddress.isMeant("host2:7700"));
  }
}
