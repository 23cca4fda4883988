package io.virtnvme.tools.migrate;

import io.virtnvme.tools.CommandFailedException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads certificates and keys in textual encodings (RFC 7468), as OpenSSL writes them. */
final class PemFiles {
  /** The label of an unencrypted PKCS #8 key (RFC 7468, section 10). */
  private static final Pattern KEY =
      Pattern.compile("-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\\s]*)-----END PRIVATE KEY-----");

  private static final List<String> ALGORITHMS = List.of("EC", "RSA", "EdDSA");

  private PemFiles() {}

  /**
   * A store with one key.
   *
   * @param chain file with the key's certificate first, then those that signed it
   * @param password of the entry in the store
   */
  static KeyStore key(final Path chain, final Path key, final char[] password)
      throws IOException, GeneralSecurityException {
    final KeyStore store = empty();
    store.setKeyEntry(
        "key", readKey(key), password, certificates(chain).toArray(new Certificate[0]));
    return store;
  }

  /** A store of certificates. */
  static KeyStore trusted(final Path file) throws IOException, GeneralSecurityException {
    final KeyStore store = empty();
    int count = 0;
    for (final Certificate certificate : certificates(file)) {
      store.setCertificateEntry("trusted-" + count, certificate);
      count++;
    }
    return store;
  }

  private static KeyStore empty() throws IOException, GeneralSecurityException {
    final KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    return store;
  }

  private static List<Certificate> certificates(final Path file)
      throws IOException, GeneralSecurityException {
    try (InputStream in = Files.newInputStream(file)) {
      final List<Certificate> found =
          List.copyOf(CertificateFactory.getInstance("X.509").generateCertificates(in));
      if (found.isEmpty()) {
        throw new CommandFailedException(file + " has no certificate in PEM");
      }
      return found;
    } catch (final CertificateException e) {
      throw new IOException(file + " cannot be used: " + e.getMessage(), e);
    }
  }

  private static PrivateKey readKey(final Path file) throws IOException, GeneralSecurityException {
    final Matcher matcher =
        KEY.matcher(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
    if (!matcher.find()) {
      throw new CommandFailedException(
          file
              + " has no 'BEGIN PRIVATE KEY' (PKCS #8, not encrypted); make one of another key with"
              + " openssl pkcs8 -topk8 -nocrypt");
    }
    final PKCS8EncodedKeySpec spec;
    try {
      spec = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(matcher.group(1)));
    } catch (final IllegalArgumentException e) {
      throw new IOException(file + " cannot be used: " + e.getMessage(), e);
    }
    InvalidKeySpecException problem = null;
    for (final String algorithm : ALGORITHMS) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(spec);
      } catch (final InvalidKeySpecException e) {
        problem = e;
      }
    }
    throw new CommandFailedException(
        file + " has a key that is none of " + String.join(", ", ALGORITHMS), problem);
  }
}
