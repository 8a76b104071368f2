import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import aws4 from "aws4";

const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();

/**
 * Signs requests as aws4 does, but keeps the signing key, which is the same for a day, as a key: of the bytes that
 * aws4 keeps Node makes one anew for each signature, half of the time that it takes.
 */
export function createS3Signer(region: string) {
  let known: { readonly secret: string; readonly date: string; readonly key: KeyObject } | undefined;

  function keyOf(secret: string, date: string): KeyObject {
    if (known?.secret === secret && known.date === date) return known.key;
    const parts = [date, region, "s3", "aws4_request"];
    const bytes = parts.reduce<string | Buffer>(hmac, `AWS4${secret}`) as Buffer;
    known = { secret, date, key: createSecretKey(bytes) };
    return known.key;
  }

  class Signer extends aws4.RequestSigner {
    override signature(): string {
      const key = keyOf(this.credentials.secretAccessKey ?? "", this.getDate());
      return createHmac("sha256", key).update(this.stringToSign()).digest("hex");
    }
  }

  /** The request's headers, with those that prove who sends it. */
  return (request: aws4.Request, keys: aws4.Credentials) =>
    new Signer({ ...request, service: "s3", region }, keys).sign().headers as Record<string, string>;
}
