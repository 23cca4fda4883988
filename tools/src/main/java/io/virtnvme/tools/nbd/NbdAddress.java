package io.virtnvme.tools.nbd;

import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;

/**
 * Where an NBD server listens, and which of its exports is meant (NBD URI format).
 *
 * @param socket of the server; a host is not looked up yet
 * @param export name of the export, empty for the server's default
 */
public record NbdAddress(SocketAddress socket, String export) {
  private static final String TCP = "nbd";
  private static final String UNIX = "nbd+unix";
  private static final String SOCKET_PARAMETER = "socket=";
  private static final int PORT = 10809;
  private static final int PORT_MAX = 65535;

  /** What a server takes as a name, at most (NBD protocol, "Values"). */
  private static final int EXPORT_BYTES_MAX = 4096;

  /** Whether it is meant to be the address of an NBD server. */
  public static boolean isMeant(final String text) {
    return text.startsWith("nbd") && text.contains("://");
  }

  /**
   * Reads {@code nbd://HOST[:PORT]/EXPORT} or {@code nbd+unix:///EXPORT?socket=PATH}.
   *
   * @throws IllegalArgumentException which says what is wrong with it
   */
  public static NbdAddress parse(final String text) {
    final URI uri;
    try {
      uri = new URI(text);
    } catch (final URISyntaxException e) {
      throw new IllegalArgumentException("'" + text + "': " + e.getMessage(), e);
    }
    final String path = uri.getPath() == null ? "" : uri.getPath();
    final String export = path.startsWith("/") ? path.substring(1) : path;
    if (export.indexOf('\0') >= 0
        || export.getBytes(StandardCharsets.UTF_8).length > EXPORT_BYTES_MAX) {
      throw new IllegalArgumentException("'" + text + "': no name of an export");
    }
    return switch (String.valueOf(uri.getScheme())) {
      case TCP -> new NbdAddress(host(text, uri), export);
      case UNIX -> new NbdAddress(socket(text, uri.getRawQuery()), export);
      default ->
          throw new IllegalArgumentException(
              "'" + text + "': neither nbd:// nor nbd+unix://; NBD over TLS is not there");
    };
  }

  private static SocketAddress host(final String text, final URI uri) {
    final int port = uri.getPort() < 0 ? PORT : uri.getPort();
    if (uri.getHost() == null || port == 0 || port > PORT_MAX || uri.getRawQuery() != null) {
      throw new IllegalArgumentException("'" + text + "': not nbd://HOST[:PORT]/EXPORT");
    }
    return InetSocketAddress.createUnresolved(uri.getHost(), port);
  }

  private static SocketAddress socket(final String text, final String query) {
    if (query == null || !query.startsWith(SOCKET_PARAMETER) || query.indexOf('&') >= 0) {
      throw new IllegalArgumentException("'" + text + "': not nbd+unix:///EXPORT?socket=PATH");
    }
    // Decodes %xx, and leaves + alone.
    final String path = URI.create("/?" + query).getQuery().substring(SOCKET_PARAMETER.length());
    return UnixDomainSocketAddress.of(path);
  }
}
