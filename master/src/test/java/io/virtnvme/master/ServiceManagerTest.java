package io.virtnvme.master;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.FdMessage;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.UnixSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The protocols of systemd, against a stand-in for its notify socket. */
class ServiceManagerTest {
  private static final int LENGTH_MAX = 4096;
  private static final int WAIT_MS = 5000;
  private static final int SILENCE_MS = 300;
  private static final long PID = 4711;

  @TempDir private Path folder;
  private final List<Integer> toClose = new ArrayList<>();

  @AfterEach
  void close() {
    toClose.forEach(Fds::close);
  }

  /** Plays the manager. */
  private int listen(final String name) {
    final int fd = UnixSocket.bindDatagram(name);
    toClose.add(fd);
    return fd;
  }

  /** A message with the number of descriptors that came along, or null when none comes in time. */
  private String receive(final int socket, final int waitMs) {
    if (!Fds.awaitReadable(socket, waitMs)) {
      return null;
    }
    final long buffer = Mem.allocate(LENGTH_MAX);
    try (FdMessage message = new FdMessage()) {
      final int length = (int) message.receive(socket, buffer, LENGTH_MAX, 0);
      final byte[] bytes = new byte[length];
      Mem.copyOut(buffer, bytes, 0, length);
      final int[] fds = message.takeFds();
      for (final int fd : fds) {
        toClose.add(fd);
      }
      return new String(bytes, StandardCharsets.UTF_8).lines().collect(Collectors.joining(" "))
          + (fds.length == 0 ? "" : " +" + fds.length);
    } finally {
      Mem.free(buffer);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"path", "abstract"})
  void shouldTellTheManagerOfEachStepOfItsLife(final String kind) {
    final String name =
        kind.equals("path")
            ? folder.resolve("notify").toString()
            : "@virtnvme-test/" + ProcessHandle.current().pid() + "/" + System.nanoTime();
    final int socket = listen(name);
    final ServiceManager manager = new ServiceManager(Map.of("NOTIFY_SOCKET", name), PID);

    manager.ready();
    assertEquals("READY=1 STATUS=serving", receive(socket, WAIT_MS));
    manager.reloading();
    final String reloading = receive(socket, WAIT_MS);
    assertTrue(reloading.matches("RELOADING=1 MONOTONIC_USEC=[0-9]+ STATUS=.*"), reloading);
    manager.stopping();
    assertEquals("STOPPING=1 STATUS=stopping", receive(socket, WAIT_MS));
  }

  @Test
  void shouldShowThatItIsWellWhileItIs() {
    final String name = folder.resolve("notify").toString();
    final int socket = listen(name);
    final ServiceManager manager =
        new ServiceManager(
            Map.of(
                "NOTIFY_SOCKET",
                name,
                "WATCHDOG_USEC",
                "40000",
                "WATCHDOG_PID",
                Long.toString(PID)),
            PID);
    final AtomicBoolean well = new AtomicBoolean(true);
    manager.healthy(well::get);
    assertTrue(manager.startWatchdog());
    for (int i = 0; i < 3; i++) {
      assertEquals("WATCHDOG=1", receive(socket, WAIT_MS));
    }
    well.set(false);
    // What was sent before may still wait; then nothing comes for many times the limit.
    await().until(() -> receive(socket, SILENCE_MS) == null);
  }

  @Test
  void shouldNotAnswerAWatchdogThatIsForAnotherProcess() {
    final String name = folder.resolve("notify").toString();
    listen(name);
    assertFalse(
        new ServiceManager(
                Map.of("NOTIFY_SOCKET", name, "WATCHDOG_USEC", "40000", "WATCHDOG_PID", "1"), PID)
            .startWatchdog());
  }

  @Test
  void shouldLeaveDescriptorsWithTheManager() {
    final String name = folder.resolve("notify").toString();
    final int socket = listen(name);
    final ServiceManager manager = new ServiceManager(Map.of("NOTIFY_SOCKET", name), PID);
    final int fd = EventFd.create();
    toClose.add(fd);

    manager.put("vhost-vm0", fd);
    assertEquals("FDSTOREREMOVE=1 FDNAME=vhost-vm0", receive(socket, WAIT_MS));
    assertEquals("FDSTORE=1 FDNAME=vhost-vm0 +1", receive(socket, WAIT_MS));
    manager.put("vhost-a:b", fd);
    manager.put("vhost-a\nREADY=1", fd);
    manager.remove("vhost-vm0");
    assertEquals("FDSTOREREMOVE=1 FDNAME=vhost-vm0", receive(socket, WAIT_MS));
    assertEquals(-1, manager.take("vhost-vm0"), "what this process stored comes to the next");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "relative", "@", "/", "unset", "/nobody/listens/here"})
  void shouldSayNothingWithoutAManager(final String name) {
    final ServiceManager manager =
        new ServiceManager(
            name.equals("unset")
                ? Map.of("LISTEN_PID", "1", "LISTEN_FDS", "3")
                : Map.of(
                    "NOTIFY_SOCKET",
                    name,
                    "WATCHDOG_USEC",
                    "none",
                    "LISTEN_FDS",
                    "-1",
                    "LISTEN_PID",
                    Long.toString(PID)),
            PID);
    manager.ready();
    manager.reloading();
    manager.stopping();
    manager.put("x", 0);
    manager.closeRest();
    assertFalse(manager.startWatchdog());
    assertEquals(-1, manager.take("x"));
  }

  @Test
  void shouldKeepTheManagersWordsFromChildren() {
    final Map<String, String> environment =
        Map.of("NOTIFY_SOCKET", "/x", "WATCHDOG_USEC", "1", "LISTEN_FDS", "1", "HOME", "/root");
    assertEquals(Map.of("HOME", "/root"), ServiceManager.without(environment, true));
    assertEquals(
        Map.of("NOTIFY_SOCKET", "/x", "WATCHDOG_USEC", "1", "HOME", "/root"),
        ServiceManager.without(environment, false));
  }
}
