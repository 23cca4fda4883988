package io.virtnvme.chaos.guest;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One {@code vhost-user-blk-pci} device of a guest. Immutable: each method gives a changed copy.
 * The n-th disk of a guest is {@code /dev/vda}, {@code /dev/vdb} and so on in it.
 */
public final class Disk {
  private static final int SOCKET_PATH_LENGTH_MAX = 107;

  private final Path socket;
  private final int reconnectSeconds;
  private final Map<String, String> properties;

  private Disk(
      final Path socket, final int reconnectSeconds, final Map<String, String> properties) {
    this.socket = socket;
    this.reconnectSeconds = reconnectSeconds;
    this.properties = properties;
  }

  /**
   * A disk with one queue of 128 entries and a split ring, without reconnection.
   *
   * @param socket the back-end's listening socket, at most 107 bytes long
   * @return the disk
   */
  public static Disk of(final Path socket) {
    return new Disk(checkSocket(socket), 0, Map.of()).queues(1).queueSize(128);
  }

  /** The same disk with {@code count} request queues, 1 to 1024. */
  public Disk queues(final int count) {
    return property("num-queues", Integer.toString(count));
  }

  /** The same disk with {@code entries} per queue: a power of two, 2 to 1024. */
  public Disk queueSize(final int entries) {
    return property("queue-size", Integer.toString(entries));
  }

  /** The same disk with packed rings (virtio 1.1, 2.7), if the back-end offers them. */
  public Disk packed() {
    return property("packed", "on");
  }

  /**
   * The same disk whose front-end connects again {@code seconds} after it lost the back-end; 0 for
   * never.
   */
  public Disk reconnect(final int seconds) {
    return new Disk(socket, seconds, properties);
  }

  /** The same disk served at another socket, as after a move to another host. */
  public Disk at(final Path otherSocket) {
    return new Disk(checkSocket(otherSocket), reconnectSeconds, properties);
  }

  /**
   * The same disk with any other property of QEMU's device, for example {@code config-wce} {@code
   * off}.
   */
  public Disk property(final String name, final String value) {
    final Map<String, String> changed = new LinkedHashMap<>(properties);
    changed.put(name, value);
    return new Disk(socket, reconnectSeconds, changed);
  }

  /** The back-end's socket. */
  public Path socket() {
    return socket;
  }

  int reconnectSeconds() {
    return reconnectSeconds;
  }

  Map<String, String> properties() {
    return properties;
  }

  /** QEMU's arguments for this disk under the given id. */
  List<String> arguments(final String id) {
    final StringBuilder device =
        new StringBuilder("vhost-user-blk-pci,id=")
            .append(id)
            .append(",chardev=")
            .append(id)
            .append("-chr");
    properties.forEach((name, value) -> device.append(',').append(name).append('=').append(value));
    final String reconnect = reconnectSeconds > 0 ? ",reconnect=" + reconnectSeconds : "";
    final List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of("-chardev", "socket,id=" + id + "-chr,path=" + socket + reconnect));
    arguments.addAll(List.of("-device", device.toString()));
    return arguments;
  }

  /** A path that QEMU can take as an option value and the kernel as a socket address. */
  static Path checkSocket(final Path socket) {
    final String text = socket.toString();
    if (text.length() > SOCKET_PATH_LENGTH_MAX) {
      throw new IllegalArgumentException(
          "socket path too long: length="
              + text.length()
              + " max="
              + SOCKET_PATH_LENGTH_MAX
              + " path="
              + text);
    }
    if (text.indexOf(',') >= 0) {
      throw new IllegalArgumentException("a socket path for QEMU must have no comma: " + text);
    }
    return socket;
  }
}
